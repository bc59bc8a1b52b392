//! The router behind the filter: routes, attempts, time-outs, and what an upstream sends.

use std::time::Duration;

use super::stream::Upcall;
use super::{Event, StreamId, World};
use crate::failure::LocalReply;
use crate::http::{Headers, Message};
use crate::lent::{Map, Phase};
use crate::proxy::{PathMatch, Route, Target};
use crate::upstream::{Door, Piece};

fn value<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|(held, _)| held == name.as_bytes()).map(|(_, value)| value.as_slice())
}

impl World {
    pub(super) fn route_of(&self, headers: &Headers) -> Option<&Route> {
        let path = value(headers, ":path").unwrap_or_default();
        let path = path.split(|b| *b == b'?').next().unwrap_or_default();
        self.proxy.routes.iter().find(|route| {
            let here = match &route.path {
                PathMatch::Prefix(prefix) => path.starts_with(prefix.as_bytes()),
                PathMatch::Exact(exact) => path == exact.as_bytes(),
            };
            here && route.present.iter().all(|name| value(headers, name).is_some())
        })
    }

    /// The cluster that a route leads to, if there is one of that name.
    pub(super) fn cluster_of(&self, route: &Route, headers: &Headers) -> Option<String> {
        let name = match &route.to {
            Target::Cluster(name) => name.clone(),
            Target::ClusterHeader(header) => String::from_utf8_lossy(value(headers, header)?).into_owned(),
        };
        self.proxy.clusters.contains_key(&name).then_some(name)
    }

    pub(super) fn connect_timeout(&self, cluster: &str) -> Duration {
        self.proxy.clusters.get(cluster).map_or(Duration::from_secs(5), |cluster| cluster.connect_timeout)
    }

    pub(super) fn route_head(&mut self, id: StreamId, end: bool) {
        let suppress = self.proxy.suppress_envoy_headers;
        let Some(stream) = self.stream(id) else { return };
        let mut headers = stream.lent.request.headers.0.clone();
        let Some(route) = self.route_of(&headers).cloned() else {
            if let Some(stream) = self.stream(id) {
                stream.lent.info.route = None;
            }
            self.local_reply(id, LocalReply::no_route());
            return;
        };
        let cluster = self.cluster_of(&route, &headers);
        if let Some(stream) = self.stream(id) {
            stream.lent.info.route = Some(route.name.clone());
            stream.lent.info.cluster.clone_from(&cluster);
        }
        let known = cluster.and_then(|name| Some((self.proxy.clusters.get(&name).cloned()?, name)));
        let Some((limits, cluster)) = known else {
            self.local_reply(id, LocalReply::no_cluster());
            return;
        };
        let busy = self.in_flight.get(&cluster).copied().unwrap_or(0);
        let upstream = self.upstreams.get(&cluster).cloned();
        if let Some(stream) = self.stream(id) {
            stream.lent.info.attempts = 1;
        }
        let Some(upstream) = upstream else {
            self.local_reply(id, LocalReply::no_host());
            return;
        };
        if let Some(stream) = self.stream(id) {
            stream.lent.info.upstream = Some(format!("HOST-OF-{cluster}"));
            stream.lent.info.transport_failure = Some(String::new());
        }
        if busy >= limits.max_requests {
            self.local_reply(id, LocalReply::overflow());
            return;
        }
        if !suppress {
            let timeout = route.timeout.as_millis().to_string();
            headers.extend(crate::http::lines([("x-envoy-expected-rq-timeout-ms", timeout.as_str())]));
            if let Some(stream) = self.stream(id) {
                stream.lent.request.headers = Map(headers.clone());
            }
        }
        *self.in_flight.entry(cluster.clone()).or_default() += 1;
        self.next += 1;
        let (attempt, now) = (self.next, self.now());
        let sent = headers.into_iter().filter(|(name, _)| !route.remove.iter().any(|gone| gone.as_bytes() == name));
        let mut request = Message { headers: sent.collect(), ..Message::default() };
        if !end && request.header("content-length").is_none() {
            request.headers.extend(crate::http::lines([("transfer-encoding", "chunked")]));
        }
        let door = upstream.borrow_mut().door(now);
        if let Some(stream) = self.stream(id) {
            let connected = door == Door::Open;
            let timeout = route.timeout;
            stream.upcall = Some(Upcall { attempt, cluster, connected, request, whole: false, timeout });
        }
        match door {
            Door::Open => {}
            Door::Refused => {
                self.schedule(now, Event::Unconnected { stream: id, attempt, silent: false });
            }
            Door::Silent => {
                self.schedule_in(limits.connect_timeout, Event::Unconnected { stream: id, attempt, silent: true });
            }
        }
        self.request_went_on(id, end);
    }

    pub(super) fn route_data(&mut self, id: StreamId, bytes: &[u8], end: bool) {
        if let Some(upcall) = self.stream(id).and_then(|stream| stream.upcall.as_mut()) {
            upcall.request.body.extend_from_slice(bytes);
        }
        self.request_went_on(id, end);
    }

    pub(super) fn route_trailers(&mut self, id: StreamId, trailers: Headers) {
        if let Some(upcall) = self.stream(id).and_then(|stream| stream.upcall.as_mut()) {
            upcall.request.trailers = trailers;
        }
        self.request_went_on(id, true);
    }

    /// More of the request is at the router; once it is whole the upstream has it, and the route's time runs.
    fn request_went_on(&mut self, id: StreamId, end: bool) {
        let now = self.now();
        let Some(upcall) = self.stream(id).and_then(|stream| stream.upcall.as_mut()) else { return };
        if !end || std::mem::replace(&mut upcall.whole, true) {
            return;
        }
        let (attempt, timeout) = (upcall.attempt, upcall.timeout);
        if !timeout.is_zero() {
            self.schedule_in(timeout, Event::RouteTimeout { stream: id, attempt });
        }
        self.schedule(now, Event::Arrives { stream: id, attempt });
    }

    /// What the stream's route adds to every answer, the proxy's own too.
    pub(super) fn added_to_response(&self, id: StreamId) -> Headers {
        let name = self.streams.get(&id).and_then(|stream| stream.lent.info.route.as_ref());
        let route = self.proxy.routes.iter().find(|route| Some(&route.name) == name);
        route.map(|route| route.add_to_response.clone()).unwrap_or_default()
    }

    /// The whole request is at the upstream.
    pub(super) fn arrived(&mut self, id: StreamId, attempt: u64) {
        let now = self.now();
        if !self.is_current(id, attempt) {
            return;
        }
        let Some(upcall) = self.stream(id).and_then(|stream| stream.upcall.as_mut()) else { return };
        let (connected, cluster) = (upcall.connected, upcall.cluster.clone());
        let request = std::mem::take(&mut upcall.request);
        let Some(upstream) = self.upstreams.get(&cluster).cloned().filter(|_| connected) else { return };
        self.note(|| format!("{id:?} at {cluster}"));
        self.weigh(&request.headers, &request.body);
        let reply = upstream.borrow_mut().request(now, &request);
        let mut at = now;
        for (gap, piece) in reply.0 {
            at += gap;
            self.schedule(at, Event::Upstream { stream: id, attempt, piece });
        }
    }

    fn is_current(&mut self, id: StreamId, attempt: u64) -> bool {
        self.stream(id).and_then(|stream| stream.upcall.as_ref()).is_some_and(|upcall| upcall.attempt == attempt)
    }

    /// The attempt is over, and its place at the cluster free.
    pub(super) fn drop_upcall(&mut self, id: StreamId) {
        let Some(upcall) = self.stream(id).and_then(|stream| stream.upcall.take()) else { return };
        self.leave_cluster(&upcall.cluster);
        if let Some(upstream) = self.upstreams.get(&upcall.cluster).filter(|_| upcall.connected && !upcall.whole) {
            upstream.borrow_mut().abandoned(self.time.now(), &upcall.request);
        }
    }

    /// A place at a cluster is free again.
    pub(super) fn leave_cluster(&mut self, cluster: &str) {
        if let Some(busy) = self.in_flight.get_mut(cluster) {
            *busy = busy.saturating_sub(1);
        }
    }

    pub(super) fn unconnected(&mut self, id: StreamId, attempt: u64, silent: bool) {
        if !self.is_current(id, attempt) {
            return;
        }
        if let Some(stream) = self.stream(id) {
            let reason = if silent { "" } else { "delayed connect error: Connection refused" };
            stream.lent.info.transport_failure = Some(reason.to_owned());
        }
        self.local_reply(id, if silent { LocalReply::connect_timeout() } else { LocalReply::refused() });
    }

    pub(super) fn route_timed_out(&mut self, id: StreamId, attempt: u64) {
        if !self.is_current(id, attempt) {
            return;
        }
        self.local_reply(id, LocalReply::route_timeout());
    }

    pub(super) fn upstream_sent(&mut self, id: StreamId, attempt: u64, piece: Piece) {
        if !self.is_current(id, attempt) {
            return;
        }
        self.touch(id);
        if super::is_last(&piece) && piece != Piece::Reset {
            self.drop_upcall(id);
            if let Some(stream) = self.stream(id) {
                stream.lent.info.answered = true;
            }
        }
        match piece {
            Piece::Head { headers, end } => {
                let suppress = self.proxy.suppress_envoy_headers;
                let added = self.added_to_response(id);
                let Some(stream) = self.stream(id) else { return };
                stream.lent.info.details = Some(b"via_upstream".to_vec());
                let mut headers = headers;
                let status = Map(headers.clone()).status();
                if status == Some(204) {
                    headers.retain(|(name, _)| name != b"content-length");
                }
                if !suppress {
                    headers.extend(crate::http::lines([("x-envoy-upstream-service-time", "0")]));
                }
                headers.extend(added);
                stream.lent.info.status = status;
                stream.lent.response.headers = Map(headers);
                self.on_head(id, Phase::Response, end);
            }
            Piece::Body { bytes, end } => self.on_line(id, Phase::Response, bytes, end),
            Piece::Trailers(trailers) => self.on_trailers(id, Phase::Response, trailers),
            Piece::Reset => {
                let Some(stream) = self.stream(id) else { return };
                // Also where an answer has begun and is held: the client gets another in its place.
                let reply = match stream.response.began {
                    true => LocalReply::broken_answer(),
                    false => LocalReply::reset_before_answer(),
                };
                self.local_reply(id, reply);
            }
        }
    }
}
