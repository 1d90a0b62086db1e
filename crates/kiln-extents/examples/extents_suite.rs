//! The suite of all places of extents, in one that a URL names: a bucket of a server, a container of
//! Kiln itself, or a folder by its path.
//!
//! Its arguments are the URL and the options of the place, `name=value`. It begins each part with
//! its name, and ends well when all went well.

#![expect(clippy::print_stdout, reason = "what it says is for the terminal of who runs it")]

#[path = "../tests/suite/mod.rs"]
mod suite;

use kiln_extents::ObjectPlace;
use suite::Place;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().expect("a URL");
    let options: Vec<(String, String)> = arguments
        .map(|option| option.split_once('=').map(|(name, value)| (name.into(), value.into())))
        .collect::<Option<_>>()
        .expect("options of the form name=value");
    let place = |part: &str| {
        println!("{part}");
        let url = format!("{}/{part}", url.trim_end_matches('/'));
        if !url.contains("://") {
            return Place::Folder(url.into());
        }
        Place::Objects(ObjectPlace::parse(&url, options.clone()).expect("a place"))
    };
    let runtime = suite::runtime();
    macro_rules! run {
        ($($part:ident),* $(,)?) => {
            $( runtime.block_on(suite::$part(place(stringify!($part)))); )*
        };
    }
    run!(
        what_is_written_is_read,
        slices_join_across_extents,
        reading_past_the_end_fails,
        an_upload_given_up_leaves_nothing,
        removing_waits_for_readers,
        a_sweep_removes_what_nobody_names_and_spares_this_run,
        run_numbers_are_not_used_twice,
        an_inventory_has_all_and_changes_nothing,
    );
    println!("phase: done");
}
