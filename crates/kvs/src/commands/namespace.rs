//! `kvs namespace create`, `remove`, `share`, `unshare`, `chown`, `list`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use kvs_client::{Client, ErrorCode, NamespaceInfo};
use kvs_proto::{At, NamespaceCreate};
use serde_json::json;

use super::failure::{About as _, Kind, failed, failure_as};
use super::options::Daemon;
use crate::output::Sink;

/// Options of `kvs namespace`.
#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "\
Examples:
  kvs namespace create scratch
  kvs put -N scratch a=1
  kvs namespace share scratch --read 1000
  kvs namespace list"
)]
pub(crate) struct NamespaceArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make namespaces
    #[command(after_help = "\
Examples:
  kvs namespace create scratch                                empty
  kvs namespace create --from \"$(kvs snapshot)\" experiment    a copy of a state, at once
  kvs namespace create -o 1000 alice                          for another user")]
    Create(CreateArgs),
    /// Remove namespaces with all that is in them
    #[command(after_help = "\
Examples:
  kvs namespace remove scratch        no error if there is none")]
    Remove(RemoveArgs),
    /// Let other users read a namespace, or tell who may
    #[command(after_help = "\
Examples:
  kvs namespace share results --read 1000 --read 1001    two users may read it, from now on
  kvs namespace share results                            prints who may, a user id a line")]
    Share(ShareArgs),
    /// Take that right back
    #[command(after_help = "\
Examples:
  kvs namespace unshare results --read 1000    ends what that user watches there, too")]
    Unshare(UnshareArgs),
    /// Give a namespace to another user
    #[command(after_help = "\
Examples:
  kvs namespace chown results 1000    user 1000 owns it from now on, with all that is in it

For the instance owner. Who owned it before may do nothing there any more, and is told so where
it follows the namespace (Operation not permitted); whom it is shared with may go on reading.")]
    Chown(ChownArgs),
    /// List namespaces
    #[command(after_help = "\
Examples:
  kvs namespace list        a header, then NAMESPACE, OWNER, FLAGS of each")]
    List(ListArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Print one JSON object a namespace: namespace, owner, flags, incarnation, version
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// User id of the owner [default: yours]
    #[arg(short, long, value_name = "UID")]
    owner: Option<u32>,
    /// Begin with that root
    #[arg(short, long, value_name = "BLOBREF", conflicts_with = "from")]
    rootref: Option<String>,
    /// Begin as a copy of that snapshot
    #[arg(long, value_name = "SNAPSHOT")]
    from: Option<String>,
    /// The namespaces
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    /// The namespaces
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

#[derive(Debug, Args)]
struct ShareArgs {
    /// The namespace
    #[arg(value_name = "NAME")]
    name: String,
    /// User id of one who may read it from now on
    #[arg(long, value_name = "UID")]
    read: Vec<u32>,
    /// Print who may as a JSON object: namespace, owner, readers
    #[arg(long, conflicts_with = "read")]
    json: bool,
}

#[derive(Debug, Args)]
struct UnshareArgs {
    /// The namespace
    #[arg(value_name = "NAME")]
    name: String,
    /// User id of one who may read it no longer
    #[arg(long, value_name = "UID", required = true)]
    read: Vec<u32>,
}

#[derive(Debug, Args)]
struct ChownArgs {
    /// The namespace
    #[arg(value_name = "NAME")]
    name: String,
    /// User id of its new owner
    // The last number is reserved for "no user".
    #[arg(value_name = "UID", value_parser = clap::value_parser!(u32).range(..i64::from(u32::MAX)))]
    uid: u32,
}

/// Runs the subcommand.
pub(crate) async fn run(daemon: &Daemon, args: NamespaceArgs) -> Result<ExitCode> {
    let client = daemon.connect("primary").await?;
    match args.action {
        Action::Create(args) => {
            for name in &args.names {
                let mut create = NamespaceCreate::named(name);
                create.owner = args.owner;
                create.root = args.rootref.as_deref().map(Into::into);
                create.from = args.from.as_deref().map(Into::into);
                client.create_namespace(create).await.about(name)?;
            }
        }
        Action::Remove(args) => {
            for name in &args.names {
                match client.remove_namespace(name.as_str()).await {
                    // Removing an unknown namespace is not an error, so this is `primary`, which
                    // cannot be removed.
                    Err(error) if error.code == ErrorCode::NoNamespace => {
                        let text = format!("{name}: {}: {}", error.code.text(), error.message);
                        return Err(failed(Kind::Other, text));
                    }
                    removed => removed.about(name)?,
                }
            }
        }
        Action::Share(args) if args.read.is_empty() => {
            let namespaces = client.namespaces().await.about(&args.name)?;
            let found = namespaces.iter().find(|info| info.name == args.name);
            let Some(found) = found else {
                // The daemon knows, and may reveal, whether the namespace is missing or not
                // readable.
                let info = client.namespace(args.name.as_str()).info(At::Current).await;
                info.about(&args.name)?;
                let reason = "it was created just now; try again";
                return Err(failure_as(&args.name, ErrorCode::NoNamespace, reason));
            };
            let mut sink = Sink::new();
            if args.json {
                let (owner, readers) = (found.owner, &found.readers);
                let object = json!({ "namespace": found.name, "owner": owner, "readers": readers });
                sink.line(&object.to_string())?;
            } else {
                for uid in &found.readers {
                    sink.line(&uid.to_string())?;
                }
            }
            sink.flush()?;
        }
        Action::Share(args) => share(&client, &args.name, &args.read, true).await?,
        Action::Unshare(args) => share(&client, &args.name, &args.read, false).await?,
        Action::Chown(ChownArgs { name, uid }) => {
            let changed = client.chown_namespace(name.as_str(), uid).await;
            changed.about(&name)?;
        }
        Action::List(args) => {
            let namespaces = client.namespaces().await.about("namespace list")?;
            let mut sink = Sink::new();
            if !args.json {
                sink.line(&header())?;
            }
            for namespace in namespaces {
                if args.json {
                    sink.line(&info_json(&namespace))?;
                    continue;
                }
                let line = row(
                    &sink.clean(&namespace.name),
                    namespace.owner,
                    namespace.flags,
                );
                sink.line(&line)?;
            }
            sink.flush()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn share(client: &Client, name: &str, users: &[u32], read: bool) -> Result<()> {
    for uid in users {
        client.share_namespace(name, *uid, read).await.about(name)?;
    }
    Ok(())
}

fn header() -> String {
    format!("{:<36} {:>10} {}", "NAMESPACE", "OWNER", "FLAGS")
}

fn row(name: &str, owner: u32, flags: u32) -> String {
    format!("{name:<36} {owner:>10} 0x{flags:08X}")
}

/// A namespace as JSON. The daemon lists readers only to the owner.
fn info_json(namespace: &NamespaceInfo) -> String {
    let position = &namespace.position;
    let mut object = serde_json::json!({
        "namespace": namespace.name,
        "owner": namespace.owner,
        "flags": namespace.flags,
        "incarnation": position.incarnation,
        "version": position.version,
    });
    if let (false, Some(object)) = (namespace.readers.is_empty(), object.as_object_mut()) {
        object.insert("readers".to_owned(), namespace.readers.clone().into());
    }
    object.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_their_header() {
        assert_eq!(
            header(),
            "NAMESPACE                                 OWNER FLAGS"
        );
        assert_eq!(
            row("primary", 1000, 10),
            "primary                                    1000 0x0000000A"
        );
    }
}
