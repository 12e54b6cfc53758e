//! The functions guests call.

use std::sync::Arc;

use futures::TryStreamExt as _;
use wasmtime::component::{Accessor, FutureReader, HasSelf, Resource, StreamReader};

use super::{
    client::{Client, query_failed, query_text},
    pool::{RootCertificate, targets},
    rows::RowProducer,
    types,
};
use crate::{
    bindings::spin::postgres::postgres::{
        Column, Error, Host, HostConnection, HostConnectionBuilder, HostConnectionBuilderWithStore,
        HostConnectionWithStore, ParameterValue, Row, RowSet,
    },
    state::{ComponentContext, GuestState},
};

/// A guest's connection.
pub struct Connection(Arc<Client>);

/// A guest's description of a connection to be made.
#[derive(Clone)]
pub struct ConnectionBuilder {
    address: String,
    root: Option<RootCertificate>,
}

type Streamed = (Vec<Column>, StreamReader<Row>, FutureReader<Result<(), Error>>);

/// Checks `address` against the component's allow-list and connects.
async fn open(
    component: &ComponentContext,
    address: &str,
    root: Option<RootCertificate>,
) -> Result<Connection, Error> {
    for target in targets(address).map_err(Error::ConnectionFailed)? {
        if !component.may_reach(&target, "postgres") {
            return Err(Error::ConnectionFailed(format!(
                "address postgres://{target} is not permitted"
            )));
        }
    }
    let leased = component
        .pg
        .lease(address, root)
        .await
        .map_err(Error::ConnectionFailed)?;
    Ok(Connection(Arc::new(Client::new(leased, component.pg.mode()))))
}

impl GuestState {
    fn client(&self, handle: &Resource<Connection>) -> Result<Arc<Client>, Error> {
        let found = self.table.get(handle);
        found
            .map(|c| c.0.clone())
            .map_err(|e| Error::ConnectionFailed(format!("no connection found: {e}")))
    }

    fn builder(&self, handle: &Resource<ConnectionBuilder>) -> Result<ConnectionBuilder, Error> {
        let found = self.table.get(handle);
        found
            .cloned()
            .map_err(|e| Error::ConnectionFailed(format!("no builder found: {e}")))
    }

    fn keep(&mut self, connection: Connection) -> Result<Resource<Connection>, Error> {
        self.table
            .push(connection)
            .map_err(|_| Error::ConnectionFailed("too many connections".into()))
    }
}

impl Host for GuestState {}

impl HostConnectionBuilder for GuestState {
    fn new(&mut self, address: String) -> wasmtime::Result<Resource<ConnectionBuilder>> {
        Ok(self.table.push(ConnectionBuilder { address, root: None })?)
    }

    fn set_ca_root(&mut self, handle: Resource<ConnectionBuilder>, certificate: String) -> Result<(), Error> {
        let root = RootCertificate::parse(&certificate).map_err(Error::Other)?;
        let builder = self.table.get_mut(&handle);
        builder
            .map_err(|e| Error::ConnectionFailed(format!("no builder found: {e}")))?
            .root = Some(root);
        Ok(())
    }

    async fn build(&mut self, handle: Resource<ConnectionBuilder>) -> Result<Resource<Connection>, Error> {
        let ConnectionBuilder { address, root } = self.builder(&handle)?;
        let connection = open(&self.component, &address, root).await?;
        self.keep(connection)
    }

    fn drop(&mut self, handle: Resource<ConnectionBuilder>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl HostConnection for GuestState {
    async fn open(&mut self, address: String) -> Result<Resource<Connection>, Error> {
        let connection = open(&self.component, &address, None).await?;
        self.keep(connection)
    }

    async fn query(
        &mut self,
        handle: Resource<Connection>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Result<RowSet, Error> {
        self.client(&handle)?.query(&statement, &values).await
    }

    async fn execute(
        &mut self,
        handle: Resource<Connection>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        self.client(&handle)?.execute(&statement, &values).await
    }

    fn drop(&mut self, handle: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}

impl<T: Send> HostConnectionBuilderWithStore<T> for HasSelf<GuestState> {
    async fn build_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<ConnectionBuilder>,
    ) -> Result<Resource<Connection>, Error> {
        let (component, builder) = accessor.with(|mut access| {
            let state = access.get();
            (state.component.clone(), state.builder(&handle))
        });
        let ConnectionBuilder { address, root } = builder?;
        let connection = open(&component, &address, root).await?;
        accessor.with(|mut access| access.get().keep(connection))
    }
}

impl<T: Send> HostConnectionWithStore<T> for HasSelf<GuestState> {
    async fn open_async(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> Result<Resource<Connection>, Error> {
        let component = accessor.with(|mut access| access.get().component.clone());
        let connection = open(&component, &address, None).await?;
        accessor.with(|mut access| access.get().keep(connection))
    }

    async fn execute_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Result<u64, Error> {
        let client = accessor.with(|mut access| access.get().client(&handle))?;
        client.execute(&statement, &values).await
    }

    async fn query_async(
        accessor: &Accessor<T, Self>,
        handle: Resource<Connection>,
        statement: String,
        values: Vec<ParameterValue>,
    ) -> Result<Streamed, Error> {
        let client = accessor.with(|mut access| access.get().client(&handle))?;
        let mut rows = Box::pin(client.rows(&statement, &values).await?);
        // The columns are told with the first row, so that is awaited here, as in Spin.
        let (columns, first, over) = match rows.try_next().await {
            Ok(None) => (Vec::new(), None, Some(Ok(()))),
            Ok(Some(row)) => match types::values(&row, client.mode()) {
                Ok(values) => (types::columns(&row), Some(values), None),
                Err(text) => (types::columns(&row), None, Some(Err(query_text(text)))),
            },
            Err(e) => (Vec::new(), None, Some(Err(query_failed(e)))),
        };
        let (producer, ended) = RowProducer::new(first, rows, client, over);
        accessor
            .with(|mut access| {
                let stream = StreamReader::new(&mut access, producer)?;
                let end = FutureReader::new(&mut access, ended)?;
                Ok((columns, stream, end))
            })
            .map_err(|e: wasmtime::Error| Error::Other(format!("the result cannot be handed over: {e:#}")))
    }
}
