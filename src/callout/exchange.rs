//! One request and its answer, over a connection that ends with them.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;

use super::connect::Stream;
use super::target::Target;
use super::{Answer, Fault, Post};

/// The most that the head of an answer may take.
const MOST_HEAD_BYTES: usize = 16 * 1024;

const BROKEN: Fault = Fault::Failed("the address did not answer in HTTP");

pub(super) fn request(
    method: Method,
    target: &Target,
    post: Option<Post>,
) -> Result<Request<Full<Bytes>>, Fault> {
    let mut request = Request::builder()
        .method(method)
        .uri(target.path())
        .header(header::HOST, target.authority())
        .header(header::USER_AGENT, "tessera")
        .header(header::ACCEPT, "application/json, */*;q=0.1")
        .header(header::CONNECTION, "close");
    let mut body = String::new();
    if let Some(post) = post {
        request = request.header(header::CONTENT_TYPE, post.content_type);
        for (name, value) in post.headers {
            request = request.header(name, value);
        }
        body = post.body;
    }
    let body = Full::new(Bytes::from(body));
    request.body(body).map_err(|_| Fault::Refused("the address cannot be asked for"))
}

/// Sends the request and takes the answer: a body of at most `most` bytes, or the head alone.
pub(super) async fn exchange(
    stream: Box<dyn Stream>,
    request: Request<Full<Bytes>>,
    most: Option<usize>,
) -> Result<Answer, Fault> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MOST_HEAD_BYTES);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|_| BROKEN)?;
    let talk = async {
        let answer = sender.send_request(request).await.map_err(|_| BROKEN)?;
        let (head, body) = answer.into_parts();
        let body = match most {
            Some(most) => read(body, most).await?,
            None => Bytes::new(),
        };
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    };
    // The connection moves the bytes; how it ended is told by the answer, or by its absence.
    let moving = async {
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answer = talk => answer,
        () = moving => Err(BROKEN),
    }
}

async fn read(body: Incoming, most: usize) -> Result<Bytes, Fault> {
    let collected = Limited::new(body, most).collect().await.map_err(|error| {
        let too_long = error.is::<http_body_util::LengthLimitError>();
        if too_long { Fault::Failed("the answer is too long") } else { BROKEN }
    })?;
    Ok(collected.to_bytes())
}
