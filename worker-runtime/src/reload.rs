//! Watches the credential files and takes new ones into use without losing a poll or a task.

use std::sync::Arc;

use crate::{
    connect::{Connector, Credentials, Error},
    half::Running,
    link::Link,
    metrics::count,
    pod::Pod,
};

/// Compares the files with what is in use, for ever.
pub(crate) async fn watch(connector: Arc<Connector>, link: Arc<Link>, halves: Vec<Arc<Running>>, pod: Arc<Pod>) {
    let mut complained = String::new();
    loop {
        tokio::time::sleep(connector.settings.credential_poll).await;
        match check(&connector, &link, &halves).await {
            Ok(false) => complained.clear(),
            Ok(true) => {
                complained.clear();
                count(&pod.counters.reloads);
                tracing::info!("credentials changed and are in use");
            }
            Err(error) => {
                let reason = crate::chain(&error);
                if reason != complained {
                    count(&pod.counters.failed_reloads);
                    tracing::warn!(
                        error = reason,
                        "the changed credentials cannot be used, the old ones stay"
                    );
                    complained = reason;
                }
            }
        }
    }
}

/// Whether other credentials are in use now.
async fn check(connector: &Connector, link: &Link, halves: &[Arc<Running>]) -> Result<bool, Error> {
    let (new, old) = (Credentials::read(&connector.settings)?, link.credentials());
    if new == old {
        return Ok(false);
    }
    if new.tls == old.tls {
        let connection = link.connection();
        connection.set_api_key(new.api_key.clone());
        link.replace(connection, new);
        return Ok(true);
    }
    // Certificates belong to a connection. The new one must work before anything moves to it.
    let connection = connector.connect_once(&new).await?;
    link.replace(connection.clone(), new);
    for half in halves {
        half.replace_connection(&connection)
            .map_err(|error| Error::Settings(crate::chain(&error)))?;
    }
    Ok(true)
}
