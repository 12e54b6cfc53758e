//! Which events are taken, and when they are enough (dsl-reference.md, "Event Consumption Strategy"); and the events that
//! start a workflow.

use super::matching::event_fits;
use crate::dsl::{Filter, Strategy, Until};
use crate::expression::{Mode, evaluate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Most events that are gathered before a workflow starts.
const MAX_EVENTS: usize = 1_000;

/// What is known of the events that came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Gathered {
    /// Which filters of `all` have their event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    met: Vec<usize>,
    /// Which filters of an `until` have their event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    until_met: Vec<usize>,
    /// The values that correlations expect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) keys: BTreeMap<String, Value>,
}

/// What became of an event.
pub(super) struct Offered {
    /// Whether it is taken.
    pub(super) taken: bool,
    /// Whether more are wanted, as far as events decide on it.
    pub(super) open: bool,
}

impl Gathered {
    /// Looks whether an event is wanted. `fits` tells whether it fits a filter, and learns the values of correlations.
    pub(super) fn offer(
        &mut self,
        strategy: &Strategy,
        mut fits: impl FnMut(&Filter, &mut BTreeMap<String, Value>) -> bool,
    ) -> Offered {
        let keys = &mut self.keys;
        let mut first = |filters: &[Filter], met: &[usize]| {
            let mut open = (0..filters.len()).filter(|index| !met.contains(index));
            open.find(|index| fits(&filters[*index], keys))
        };
        let (taken, open) = match strategy {
            Strategy::One(filter) => {
                let taken = first(std::slice::from_ref(filter), &[]).is_some();
                (taken, !taken)
            }
            Strategy::All(filters) => {
                let found = first(filters, &self.met);
                self.met.extend(found);
                (found.is_some(), self.met.len() < filters.len())
            }
            Strategy::Any(filters, until) => {
                let stops = match until {
                    Some(Until::Events(until)) => {
                        let filters = until.filters();
                        let found = first(filters, &self.until_met);
                        self.until_met.extend(found);
                        let all = matches!(**until, Strategy::All(_));
                        let wanted = if all { filters.len() } else { 1 };
                        let every = filters.is_empty();
                        (found.is_some() || every).then_some(every || self.until_met.len() >= wanted)
                    }
                    _ => None,
                };
                match stops {
                    Some(enough) => (false, !enough),
                    None if filters.is_empty() || first(filters, &[]).is_some() => (true, until.is_some()),
                    None => (false, true),
                }
            }
        };
        Offered { taken, open }
    }
}

/// The events that came so far towards the next start of a workflow by `schedule.on`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    #[serde(flatten)]
    gathered: Gathered,
    #[serde(default)]
    events: Vec<Value>,
}

impl Trigger {
    /// Takes a CloudEvent, if it is wanted. When the events are enough to start a run, they are given as its input, and
    /// gathering begins anew. Beyond a thousand events that are not enough, the oldest are forgotten.
    pub fn offer(&mut self, strategy: &Strategy, event: &Value) -> Option<Value> {
        let fits = |filter: &Filter, keys: &mut BTreeMap<String, Value>| {
            event_fits(filter, event, &Value::Null, keys, &(), Mode::Strict)
        };
        let Offered { taken, mut open } = self.gathered.offer(strategy, fits);
        if taken {
            self.events.push(event.clone());
            if let Strategy::Any(_, Some(Until::Expression(until))) = strategy {
                let gathered = Value::Array(self.events.clone());
                open = !matches!(evaluate(until, &gathered, &()), Ok(value) if !matches!(value, Value::Null | Value::Bool(false)));
            }
            if open && self.events.len() > MAX_EVENTS {
                self.events.remove(0);
            }
        }
        if open {
            return None;
        }
        Some(Value::Array(std::mem::take(self).events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dsl::Schedule;
    use serde_json::json;

    fn starts(on: &str, events: &[(&str, Value)]) -> Vec<usize> {
        let text = format!(
            "document: {{dsl: 1.0.3, namespace: n, name: w, version: 1.0.0}}\nschedule: {{on: {on}}}\ndo:\n- a: {{set: {{x: 1}}}}\n"
        );
        let definition = crate::validate::parse(&text).unwrap_or_else(|findings| panic!("{findings}"));
        let Some(Schedule::On(strategy)) = &definition.schedule else {
            panic!("no schedule")
        };
        let mut trigger = Trigger::default();
        let mut all = Vec::new();
        for (kind, data) in events {
            let text = serde_json::to_string(&trigger).expect("JSON");
            trigger = serde_json::from_str(&text).expect("a trigger");
            let event = json!({"type": kind, "source": "/s", "id": "1", "data": data});
            all.extend(
                trigger
                    .offer(strategy, &event)
                    .and_then(|input| input.as_array().map(Vec::len)),
            );
        }
        all
    }

    #[test]
    fn events_start_workflows() {
        let n = |n: i64| json!({"n": n});
        assert_eq!(
            starts(
                "{one: {with: {type: a}}}",
                &[("a", n(1)), ("b", n(2)), ("a", n(3))]
            ),
            [1, 1]
        );
        let all = "{all: [{with: {type: a}}, {with: {type: b}}]}";
        assert_eq!(
            starts(
                all,
                &[("a", n(1)), ("a", n(2)), ("b", n(3)), ("b", n(4)), ("a", n(5))]
            ),
            [2, 2]
        );
        let keyed = "{all: [{with: {type: a}, correlate: {k: {from: .data.n}}}, {with: {type: b}, correlate: {k: {from: .data.n}}}]}";
        assert_eq!(starts(keyed, &[("a", n(1)), ("b", n(2)), ("b", n(1))]), [2]);
        let until = "{any: [{with: {type: a, data: '${ .n > 1 }'}}], until: 'length == 2'}";
        assert_eq!(
            starts(until, &[("a", n(1)), ("a", n(2)), ("a", n(3)), ("a", n(4))]),
            [2]
        );
    }
}
