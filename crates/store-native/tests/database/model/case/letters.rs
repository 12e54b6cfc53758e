//! Commands about broadcasts, dead letters and callbacks, run on both sides.

use super::super::command::LetterCommand;
use super::super::letters::{Callback, Extra};
use super::super::machine::{Request, SECOND};
use super::{Case, pick};
use serde_json::{Value, json};

impl Case<'_> {
    /// Tells the model of a request of no run that the database has accepted.
    pub(super) fn accepted(&mut self, id: &Value, max_attempts: i64, extra: Extra) -> Result<(), String> {
        let id = id.as_str().and_then(|id| id.parse().ok());
        let now = self.model.now;
        self.model.insert_request(Request {
            id: id.ok_or("an accepted request has no id")?,
            run: None,
            seq: 0,
            queue_at: now - extra.boost,
            deadline: now + extra.timeout,
            state: "queued",
            attempt: 0,
            max_attempts,
            epoch: 0,
            lease: None,
            wake: Some(now),
            extra,
        });
        Ok(())
    }

    /// A command about broadcasts, dead letters or callbacks.
    pub(super) async fn letter(&mut self, command: &LetterCommand) -> Result<(Value, Value), String> {
        let model = &self.model;
        let is_letter = |request: &Request| request.extra.letter == Some("open");
        Ok(match *command {
            LetterCommand::Broadcast {
                key,
                fingerprint,
                to_all,
                excluded,
            } => self.broadcast(key, fingerprint, to_all, excluded).await?,
            LetterCommand::Retry { request } => {
                let Some(index) = pick(request, &model.requests, is_letter) else {
                    return Ok((Value::Null, Value::Null));
                };
                let call = format!("request_retry('{}', 'ada', 'x')", model.requests[index].id);
                let got = self
                    .one(&format!("select to_jsonb(r) from guildhall.{call} r"))
                    .await;
                self.saw(&call, &got["outcome"]);
                let wanted = self.model.retry(index);
                if wanted == "retried" && got["outcome"] == wanted {
                    let id = got["request"]["id"].as_str().and_then(|id| id.parse().ok());
                    let reborn = self.model.reborn(index, id.ok_or("a new life has no id")?);
                    self.model.insert_request(reborn);
                }
                (got["outcome"].clone(), wanted.into())
            }
            LetterCommand::Discard { request } => {
                let Some(index) = pick(request, &model.requests, is_letter) else {
                    return Ok((Value::Null, Value::Null));
                };
                let call = format!("request_discard('{}', 'ada', 'x')", model.requests[index].id);
                let wanted = self.model.discard(index);
                self.outcomes(&call, wanted).await
            }
            LetterCommand::List { limit } => {
                let sql = format!("select r -> 'id' from guildhall.request_letters(null, {limit}) r");
                let got = self.many(&sql).await;
                let open = self.model.requests.iter().filter(|request| is_letter(request));
                (json!(got.len()), json!(open.count().min(limit)))
            }
            LetterCommand::ClaimCallbacks { limit, lease_s } => {
                let sql = format!(
                    "select to_jsonb(c.request_id) from guildhall.callback_claim('w', {limit}, {lease_s}) c order by 1"
                );
                let got = self.many(&sql).await;
                (json!(got), json!(self.model.claim_callbacks(limit, lease_s)))
            }
            LetterCommand::Report {
                callback,
                older,
                outcome,
            } => {
                let pending = |callback: &Callback| callback.leased;
                let Some(index) = pick(callback, &model.callbacks, pending) else {
                    return Ok((Value::Null, Value::Null));
                };
                self.report(index, older, outcome).await
            }
        })
    }

    async fn broadcast(
        &mut self,
        key: Option<&'static str>,
        fingerprint: &'static str,
        to_all: bool,
        excluded: bool,
    ) -> Result<(Value, Value), String> {
        let request = json!({"skill": "work", "input": {}, "to": if to_all { "all" } else { "skill" },
            "exclude": if excluded { json!(["a"]) } else { json!([]) }});
        let key_text = key.map_or("null".to_owned(), |key| format!("'{key}'"));
        let call = format!("broadcast_submit('{request}', 'ada', {key_text}, '{fingerprint}', '{{}}')");
        let got = self
            .one(&format!("select to_jsonb(r) from guildhall.{call} r"))
            .await;
        self.saw(&call, &got["outcome"]);
        let wanted = self.model.broadcast(key, fingerprint, excluded);
        if wanted == "accepted" && got["outcome"] == wanted {
            let extra = Extra {
                timeout: 600 * SECOND,
                life: 1,
                ..Extra::default()
            };
            self.accepted(&got["broadcast"]["answers"][0]["request_id"], 3, extra)?;
        }
        Ok((got["outcome"].clone(), wanted.into()))
    }

    async fn report(&mut self, index: usize, older: bool, outcome: &str) -> (Value, Value) {
        let (id, epoch) = {
            let callback = &self.model.callbacks[index];
            (callback.request, callback.epoch - i64::from(older))
        };
        let wanted = self.model.report(index, epoch, outcome);
        let answers = self
            .answers(
                &format!("callback_report('{id}', {epoch}, '{outcome}', 'd')"),
                wanted,
            )
            .await;
        if wanted == "retry" && answers.0 == answers.1 {
            let due = format!(
                "select to_jsonb(m.us(next_wake_at)) from guildhall.callbacks where request_id = '{id}'"
            );
            let due = self.one(&due).await.as_i64().expect("a retry is due");
            let (now, callback) = (self.model.now, &mut self.model.callbacks[index]);
            let most = (SECOND * (1 << (callback.attempts - 1))).min(600 * SECOND);
            assert!(
                due - now >= most / 2 - 1 && due - now <= most,
                "a pause of {} µs after attempt {}",
                due - now,
                callback.attempts
            );
            callback.wake = Some(due);
        }
        answers
    }
}
