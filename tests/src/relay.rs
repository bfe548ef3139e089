//! A network that can be cut.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A local port that leads to another place while it is whole.
pub struct Relay {
    /// `127.0.0.1:PORT`.
    pub address: String,
    is_whole: watch::Sender<bool>,
}

impl Relay {
    /// Leads to a host and port.
    pub async fn to(place: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (is_whole, whole) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(pass(connection, place.clone(), whole.clone()));
            }
        });
        Ok(Self { address, is_whole })
    }

    /// Breaks what is connected, and whatever connects from now on.
    pub fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.is_whole.send_replace(true);
    }
}

/// Until either side has ended, or the relay is cut.
async fn pass(
    mut connection: TcpStream,
    place: String,
    mut whole: watch::Receiver<bool>,
) -> std::io::Result<()> {
    if !*whole.borrow() {
        return Ok(());
    }
    let mut other = TcpStream::connect(place).await?;
    tokio::select! {
        _ = copy_bidirectional(&mut connection, &mut other) => {}
        _ = whole.wait_for(|whole| !whole) => {}
    }
    Ok(())
}
