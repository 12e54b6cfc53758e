//! `spin:variables@3.0.0`.

use wasmtime::component::{Accessor, HasSelf};

use crate::{
    bindings::spin::variables::variables::{Error, Host, HostWithStore},
    state::GuestState,
    variables::check_name,
};

impl Host for GuestState {}

impl<T: Send> HostWithStore<T> for HasSelf<GuestState> {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> Result<String, Error> {
        if let Err(cause) = check_name(&name) {
            return Err(Error::InvalidName(cause));
        }
        accessor.with(|mut access| {
            let component = &access.get().component;
            let found = component.variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone()).ok_or_else(|| {
                Error::Undefined(format!(
                    "no variable {name:?}; add it to [component.{}.variables] in spin.toml",
                    component.id
                ))
            })
        })
    }
}
