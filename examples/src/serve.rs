//! Listening and answering.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};

use axum::{Router, middleware};
use tokio::net::TcpListener;

use crate::log;

/// Answers requests with `app` on `127.0.0.1`, and prints each, until the process ends.
///
/// Port 0 takes any free port. The first line printed says where it listens.
pub async fn serve(port: u16, app: Router) -> io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).await.map_err(|error| cannot_listen(address, &error))?;
    let address = listener.local_addr()?;
    writeln!(
        io::stdout().lock(),
        "Listening on http://{address}\n\
         Try, twice each:  curl http://{address}/user/ada\n\
         \u{20}                 curl 'http://{address}/search?q=stale+while'\n\
         and then:         curl http://{address}/stats\n\
         \u{20}                 curl -X POST http://{address}/reset\n"
    )?;
    axum::serve(listener, app.layer(middleware::from_fn(log::requests))).await
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => "; another port can be had with `--port N`, any free one with `--port 0`",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{hint}"))
}
