//! Versions of a namespace: where it is, waiting until it gets somewhere, and which there were.

use crate::answers::InfoAnswer;
use crate::error::ClientError;
use crate::namespace::Namespace;
use crate::read_options::LogOptions;
use crate::records::LogAnswer;
use kvs_proto as wire;
use kvs_proto::{At, Info, Log, Position, Wait, WaitAnswer};

impl Namespace {
    /// The root: version, blobref, owner, time.
    pub async fn info(&self, at: At) -> Result<InfoAnswer, ClientError> {
        let current = at == At::Current;
        let info = Info {
            namespace: self.name.clone(),
            at,
        };
        let answer: InfoAnswer = self.client.answer::<wire::InfoAnswer, _>(info).await?;
        if current {
            self.client.known.learn(&self.name, answer.position);
        }
        Ok(answer)
    }

    /// Returns when the namespace has reached a version of the incarnation, or of the current one.
    /// Dropping the future ends the wait on the daemon as well.
    pub async fn wait(
        &self,
        version: u64,
        incarnation: Option<u64>,
    ) -> Result<Position, ClientError> {
        let wait = Wait {
            namespace: self.name.clone(),
            version,
            incarnation,
        };
        let body = self.client.queue.cancellable(wait.into()).await?;
        let answer: WaitAnswer = kvs_proto::decode_body(&body)?;
        self.client.known.learn(&self.name, answer.position);
        Ok(answer.position)
    }

    /// A page of versions, oldest first.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), kvs_client::ClientError> {
    /// # let Ok(uri) = std::env::var("KVS_DOC_URI") else { return Ok(()) };
    /// # let client = kvs_client::Client::connect(&uri.parse()?).await?;
    /// use kvs_client::LogOptions;
    /// let primary = client.namespace("primary");
    /// primary.put("doc.log.a", "1").await?;
    /// let page = primary.log(LogOptions::new().scope("doc.log")).await?;
    /// for version in page.versions {
    ///     println!("{} {:?}", version.position.version, version.changes);
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn log(&self, options: LogOptions) -> Result<LogAnswer, ClientError> {
        let log = Log {
            namespace: self.name.clone(),
            from: options.from,
            to: options.to,
            scopes: options.scopes,
            limit: options.limit,
        };
        self.client.answer::<wire::LogAnswer, _>(log).await
    }
}
