//! The user's own repository: one run, and nothing is changed there unless that was asked for.

use super::{Scene, story, tell};

/// Reviews and tests the branch; deploys it too when an environment is named.
pub fn play(scene: &mut Scene, head: &str, environment: Option<&str>) -> anyhow::Result<()> {
    scene.teller.chapter("Your change");
    let message = match environment {
        Some(environment) => format!("review, test and deploy branch {head} to {environment}"),
        None => format!("review and test branch {head}"),
    };
    let run_id = story::ask(scene, &message)?;
    if environment.is_some() {
        match story::approval_of(scene, &run_id) {
            Ok(approval) => story::approve(scene, &approval)?,
            // Stopped before that, or not risky: the timeline tells.
            Err(_) => scene.teller.say("nobody was asked for an approval"),
        }
    }
    let run = story::ended(scene, &run_id)?;
    scene.teller.timeline(&run);
    let status = run["status"].as_str().unwrap_or_default();
    let stopped_for_a_reason =
        status == "faulted" && !run["error"]["code"].is_null() && !tell::steps(&run).is_empty();
    scene.proof.that(
        status == "completed" || stopped_for_a_reason,
        &format!("the run came to its end: {status}"),
    );
    if environment.is_none() {
        scene
            .teller
            .say("nothing was deployed: add --deploy ENVIRONMENT for that");
    }
    Ok(())
}
