//! The links between agents and the server: bytes that are late, stand still, or are lost with
//! their connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kiln_clock::pause;
use kiln_server::link;
use tokio::io::{
    AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split,
};

use crate::world::World;

/// Bytes that a connection holds on their way.
const CONNECTION_BYTES: usize = 64 * 1024;

/// Both ends of an agent's connection.
pub(crate) type Halves = (ReadHalf<DuplexStream>, WriteHalf<DuplexStream>);

/// Connects an agent to the server that lives.
pub(crate) async fn connect(world: Arc<World>, name: String) -> io::Result<Halves> {
    pause(world.chance.ms(0, 3)).await;
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let life = world.life().ok_or_else(refused)?;
    let server = life.server().ok_or_else(refused)?;
    let (agent_end, near) = duplex(CONNECTION_BYTES);
    let (far, server_end) = duplex(CONNECTION_BYTES);
    let stop = life.stop.clone();
    life.spawn(async move {
        let (reader, writer) = split(server_end);
        link::serve_one(&server, reader, writer, stop).await;
    });
    world.note(&format!("{name} connects"));
    let carrying = carry(Arc::clone(&world), near, far, name);
    world.spawn(carrying);
    Ok(split(agent_end))
}

/// Carries bytes both ways until one side ends or the connection breaks.
async fn carry(world: Arc<World>, near: DuplexStream, far: DuplexStream, name: String) {
    let (near_reader, near_writer) = split(near);
    let (far_reader, far_writer) = split(far);
    let breaks = async {
        if world.faults.happens(&world.chance, world.faults.broken_link) {
            pause(world.chance.ms(1, 20_000)).await;
            if !world.faults.are_over() {
                world.note(&format!("the link of {name} breaks"));
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = breaks => {}
        () = one_way(&world, near_reader, far_writer) => {}
        () = one_way(&world, far_reader, near_writer) => {}
    }
}

async fn one_way(world: &World, mut from: ReadHalf<DuplexStream>, mut to: WriteHalf<DuplexStream>) {
    let mut bytes = vec![0; CONNECTION_BYTES];
    loop {
        let Ok(n_bytes @ 1..) = from.read(&mut bytes).await else { return };
        pause(delay(world)).await;
        let Some(read) = bytes.get(..n_bytes) else { return };
        if to.write_all(read).await.is_err() {
            return;
        }
    }
}

fn delay(world: &World) -> Duration {
    let (faults, chance) = (&world.faults, &world.chance);
    if faults.happens(chance, faults.stalled_link / 20.0) {
        chance.ms(1_000, 150_000)
    } else if faults.happens(chance, faults.late_bytes) {
        chance.ms(5, 2_000)
    } else {
        chance.ms(0, 2)
    }
}
