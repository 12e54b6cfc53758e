//! Lifecycle events (dsl-reference.md, "Lifecycle Events"), as CloudEvents.

use super::problem::Problem;
use super::walk::Walk;
use super::{Detail, iso};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

impl Walk<'_> {
    fn tell(&mut self, detail: Detail, kind: &str, data: impl FnOnce(&Self) -> Map<String, Value>) {
        self.state.told += 1;
        if self.engine.detail < detail {
            return;
        }
        let data = data(self);
        let id = &self.state.run.id;
        self.lifecycle.push(json!({
            "specversion": "1.0",
            "id": format!("{id}/lifecycle/{}", self.state.told),
            "source": format!("/v1/runs/{id}"),
            "type": format!("io.serverlessworkflow.{kind}.v1"),
            "time": iso(self.now),
            "datacontenttype": "application/json",
            "data": data,
        }));
    }

    /// The run's name: of workflow, run and namespace.
    fn qualified(&self) -> Value {
        let document = &self.definition.document;
        format!("{}-{}.{}", document.name, self.state.run.id, document.namespace).into()
    }

    fn run_data(&self, time: &str) -> Map<String, Value> {
        Map::from_iter([
            ("name".to_owned(), self.qualified()),
            (time.to_owned(), iso(self.now).into()),
        ])
    }

    pub(super) fn tell_run(&mut self, kind: &str, time: &str) {
        self.tell(Detail::Runs, &format!("workflow.{kind}"), |walk| {
            walk.run_data(time)
        });
    }

    pub(super) fn tell_started(&mut self) {
        self.tell(Detail::Runs, "workflow.started", |walk| {
            let document = &walk.definition.document;
            let reference =
                json!({"name": document.name, "namespace": document.namespace, "version": document.version});
            let mut data = walk.run_data("startedAt");
            data.insert("definition".into(), reference);
            data
        });
    }

    pub(super) fn tell_completed(&mut self, output: &Value) {
        self.tell(Detail::Runs, "workflow.completed", |walk| {
            let mut data = walk.run_data("completedAt");
            data.insert("output".into(), output.clone());
            data
        });
    }

    pub(super) fn tell_faulted(&mut self, problem: &Problem) {
        self.tell(Detail::Runs, "workflow.faulted", |walk| {
            let mut data = walk.run_data("faultedAt");
            data.insert("error".into(), problem.to_value());
            data
        });
    }

    pub(super) fn tell_correlated(&mut self, keys: &BTreeMap<String, Value>) {
        self.tell(Detail::Runs, "workflow.correlation-completed", |walk| {
            let mut data = walk.run_data("completedAt");
            if !keys.is_empty() {
                data.insert("correlationKeys".into(), json!(keys));
            }
            data
        });
    }

    /// Tells what became of the task at this place, with its output or error.
    pub(super) fn tell_task(&mut self, kind: &str, time: &str, more: Option<(&str, &dyn Fn() -> Value)>) {
        self.tell(Detail::Tasks, &format!("task.{kind}"), |walk| {
            let mut data = Map::from_iter([
                ("workflow".to_owned(), walk.qualified()),
                ("task".to_owned(), walk.pointer.clone().into()),
                (time.to_owned(), iso(walk.now).into()),
            ]);
            data.extend(more.map(|(key, value)| (key.to_owned(), value())));
            data
        });
    }
}
