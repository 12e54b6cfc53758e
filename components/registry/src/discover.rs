//! Finding agents.

use guildhall_guest::{
    Ctx, Handled, Reply,
    domain::{Code, Problem},
    store::agent::{self, Search},
};

/// A query parameter that is a comma list.
fn words(ctx: &Ctx, name: &str) -> Result<Vec<String>, Problem> {
    let text = ctx.query(name)?.unwrap_or_default();
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    Ok(words.map(str::to_owned).collect())
}

/// `GET /v1/agents`
pub async fn list(ctx: Ctx) -> Handled {
    let limit = match ctx.query("limit")? {
        Some(_) => ctx.limit()?,
        None => 20,
    };
    let card = match ctx.query("fields")?.as_deref() {
        None => false,
        Some("card") => true,
        Some(other) => {
            return Err(Problem::new(
                Code::InvalidParameter,
                format!("The query parameter `fields` cannot be `{other}`."),
            )
            .hint("`fields=card` adds each agent's card."));
        }
    };
    let search = Search {
        skill: ctx.query("skill")?,
        tags: words(&ctx, "tag")?,
        any_tags: words(&ctx, "any_tag")?,
        q: ctx.query("q")?,
        status: ctx.query("status")?,
        project: ctx.query("project")?,
        card,
    };
    if search.q.as_ref().is_some_and(|q| q.len() > 500) {
        return Err(Problem::new(
            Code::InvalidParameter,
            "The query parameter `q` is longer than 500 bytes.",
        ));
    }
    let page = agent::search(&ctx.db(), &search, ctx.query("after")?.as_deref(), limit).await?;
    Ok(Reply::json(&page))
}

/// `GET /v1/agents/best`
pub async fn best(ctx: Ctx) -> Handled {
    let Some(skill) = ctx.query("skill")? else {
        return Err(
            Problem::new(Code::InvalidParameter, "The query parameter `skill` is missing.")
                .hint("GET /v1/agents/best?skill=review_change"),
        );
    };
    let (tags, project) = (words(&ctx, "tag")?, ctx.query("project")?);
    match agent::best(&ctx.db(), &skill, &tags, project.as_deref()).await? {
        Some(best) => Ok(Reply::json(&best)),
        None => Err(
            Problem::new(Code::NotFound, format!("No live agent has the skill `{skill}`.")).hint(format!(
                "GET /v1/agents?skill={skill}&status=any lists those that are not live too."
            )),
        ),
    }
}

/// `GET /v1/agents/{id}`
pub async fn show(ctx: Ctx) -> Handled {
    let id = ctx.param("id")?;
    match agent::get_raw(&ctx.db(), id).await? {
        Some(agent) => Ok(Reply::json(&agent)),
        None => Err(unknown(id)),
    }
}

/// The problem of an agent that is not there.
pub fn unknown(id: &str) -> Problem {
    Problem::new(Code::NotFound, format!("There is no agent `{id}`."))
        .hint("GET /v1/agents lists those there are; a remote agent registers with PUT /v1/agents/{id}.")
}
