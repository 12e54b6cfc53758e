//! What anybody may know of the fleet without a token: its A2A card (`/.well-known/agent-card.json`, A2A 1.0, section
//! 8.2) and its ARD manifest (`/.well-known/ard.json`, and the older `/.well-known/ai-catalog.json`). Each is made from
//! the database at most every 10 s per instance.

use futures::future::try_join_all;
use guildhall_guest::{
    Ctx, Handled,
    ard::{self, Publisher},
    cached::{self, Cached},
    domain::{
        Code, Problem,
        agent::{AgentCapabilities, AgentCard, AgentInterface, FLEET, Skill},
    },
    store::agent::{self, Search},
    time, vars,
};
use serde::Serialize;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

/// The binding of Guildhall's own REST API (docs/api.md).
const REST_BINDING: &str = "https://guildhall.dev/bindings/rest/v1";
/// Most agents that the manifest lists; the registry that it names has all.
const LISTED: u32 = 100;

#[derive(Clone)]
struct Made {
    document: Rc<Cached>,
    until_ns: u64,
}

thread_local! {
    static MADE: RefCell<BTreeMap<&'static str, Made>> = const { RefCell::new(BTreeMap::new()) };
}

/// The fleet's card, or 304 when the caller has this version.
pub async fn show(ctx: Ctx) -> Handled {
    let document = match kept("card") {
        Some(document) => document,
        None => {
            let (card, changed) = card(&ctx).await?;
            keep("card", &card, changed)?
        }
    };
    Ok(cached::reply(&ctx, &document))
}

/// The fleet's manifest, or 304 when the caller has this version.
pub async fn manifest(ctx: Ctx) -> Handled {
    let document = match kept("manifest") {
        Some(document) => document,
        None => {
            let publisher = Publisher::of_this_fleet().await?;
            let live = live(&ctx).await?;
            keep("manifest", &ard::manifest(&publisher, &live.items), None)?
        }
    };
    Ok(cached::reply(&ctx, &document))
}

fn kept(name: &'static str) -> Option<Rc<Cached>> {
    let now = time::monotonic_ns();
    MADE.with_borrow(|made| {
        made.get(name)
            .filter(|made| now < made.until_ns)
            .map(|made| made.document.clone())
    })
}

fn keep(
    name: &'static str,
    document: &impl Serialize,
    changed: Option<String>,
) -> Result<Rc<Cached>, Problem> {
    let body =
        serde_json::to_vec(document).map_err(|error| Problem::new(Code::Internal, error.to_string()))?;
    let document = Rc::new(Cached::new(body, changed));
    let until_ns = time::monotonic_ns() + Duration::from_secs(10).as_nanos() as u64;
    let made = Made {
        document: document.clone(),
        until_ns,
    };
    MADE.with_borrow_mut(|kept| kept.insert(name, made));
    Ok(document)
}

async fn live(
    ctx: &Ctx,
) -> Result<guildhall_guest::store::Page<guildhall_guest::domain::agent::AgentSummary>, Problem> {
    let search = Search {
        status: Some("live".into()),
        card: true,
        ..Search::default()
    };
    Ok(agent::search(&ctx.db(), &search, None, LISTED).await?)
}

/// The card, and when it changed last.
async fn card(ctx: &Ctx) -> Result<(AgentCard, Option<String>), Problem> {
    let db = ctx.db();
    let own = try_join_all(FLEET.iter().map(|id| agent::get_raw(&db, id))).await?;
    let live: Vec<_> = own
        .into_iter()
        .flatten()
        .filter(|agent| agent["status"] == "active" || agent["status"] == "busy")
        .collect();
    // Times of one form and one zone sort as text.
    let changed = live.iter().filter_map(|agent| agent["updated_at"].as_str()).max();
    let changed = changed.and_then(cached::http_date);
    let cards = live
        .iter()
        .filter_map(|agent| serde_json::from_value::<AgentCard>(agent["card"].clone()).ok());
    let mut skills: Vec<Skill> = cards.flat_map(|card| card.skills).collect();
    skills.sort_by(|a, b| a.id.cmp(&b.id));
    skills.dedup_by(|a, b| a.id == b.id);
    let card = AgentCard {
        name: "guildhall".into(),
        description:
            "A fleet of software-delivery agents: it plans, reviews, tests, deploys with approval, documents."
                .into(),
        version: env!("CARGO_PKG_VERSION").into(),
        supported_interfaces: vec![AgentInterface {
            url: vars::required("public_url").await?,
            protocol_binding: REST_BINDING.into(),
            protocol_version: "1.0".into(),
        }],
        capabilities: AgentCapabilities::default(),
        default_input_modes: vec!["application/json".into()],
        default_output_modes: vec!["application/json".into()],
        skills,
    };
    Ok((card, changed))
}
