//! Two-sided pause: what is paused and what is told, in every order in which two sides can pause and resume.
use super::*;

/// Either side of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Client,
    Server,
    /// Of a consumer: the one who sends.
    Source,
}

use Side::{Client, Server, Source};

/// `a` produces audio under 11, which `b` consumes.
struct Scene {
    world: World,
    a: SessionId,
    b: SessionId,
    consumer: u32,
}

fn scene(enabled: bool) -> Scene {
    let mut world = World::new();
    let (a, _) = world.join_v2("a", false);
    world.create_transport(a, 10, "send");
    world.ask(a, &producer_message(11, 10)).unwrap();
    let (b, joined) = world.join_v2("b", false);
    world.create_transport(b, 20, "recv");
    let consumer = u32::try_from(joined["peers"][0]["consumers"][0]["id"].as_u64().unwrap()).unwrap();
    let mut scene = Scene { world, a, b, consumer };
    if enabled {
        scene.enable(false);
    }
    scene.world.take(a);
    scene.world.take(b);
    scene
}

impl Scene {
    fn enable(&mut self, paused: bool) -> Value {
        let message = json!({
            "method": "enableConsumer", "target": "peer", "id": self.consumer, "transportId": 20,
            "paused": paused, "preferredProfile": "default",
        });
        self.world.ask(self.b, &message).unwrap()
    }

    fn set_producer(&mut self, side: Side, paused: bool) {
        let app_data = json!("why");
        match (side, paused) {
            (Server, true) => self.world.act("a", Action::PauseProducer { id: 11, app_data }).unwrap(),
            (Server, false) => self.world.act("a", Action::ResumeProducer { id: 11, app_data }).unwrap(),
            (_, true) => self.world.tell(self.a, &notice("pauseProducer", json!({ "id": 11 }))),
            (_, false) => self.world.tell(self.a, &notice("resumeProducer", json!({ "id": 11 }))),
        }
    }

    fn set_consumer(&mut self, side: Side, paused: bool) {
        let (id, app_data) = (self.consumer, json!("why"));
        match (side, paused) {
            (Server, true) => self.world.act("b", Action::PauseConsumer { id, app_data }).unwrap(),
            (Server, false) => self.world.act("b", Action::ResumeConsumer { id, app_data }).unwrap(),
            (Client, true) => self.world.tell(self.b, &notice("pauseConsumer", json!({ "id": id }))),
            (Client, false) => self.world.tell(self.b, &notice("resumeConsumer", json!({ "id": id }))),
            (Source, paused) => self.set_producer(Client, paused),
        }
    }

    /// Whether the producer is paused, and whether the consumer itself is.
    fn paused(&self) -> (bool, bool) {
        let server = &self.world.server;
        let id = server.rooms.consumers_of("r", "b")[0];
        let consumer = server.sfu().consumer(id).unwrap();
        assert_eq!(server.sfu().producer(consumer.producer_id).unwrap().paused, consumer.producer_paused);
        (consumer.producer_paused, consumer.paused)
    }

    fn told_methods(&mut self, session: SessionId) -> Vec<String> {
        let told = self.world.told(session);
        methods_of(&told).into_iter().map(str::to_owned).collect()
    }
}

/// The four orders: who pauses first, and who resumes first.
fn orders(one: Side, other: Side) -> [[(Side, bool); 4]; 4] {
    let order =
        |first, second, third, fourth| [(first, true), (second, true), (third, false), (fourth, false)];
    [
        order(one, other, one, other),
        order(one, other, other, one),
        order(other, one, one, other),
        order(other, one, other, one),
    ]
}

#[test]
fn of_a_producer_the_owner_hears_of_the_server_and_the_receiver_of_the_change() {
    for order in orders(Client, Server) {
        let mut scene = scene(true);
        for (step, (side, paused)) in order.into_iter().enumerate() {
            scene.set_producer(side, paused);
            // A second time is nothing.
            scene.set_producer(side, paused);
            let method = if paused { "producerPaused" } else { "producerResumed" };
            let own = notice(method, json!({ "id": 11, "peerName": "a", "appData": "why" }));
            let expected: Vec<Value> = (side == Server).then_some(own).into_iter().collect();
            assert_eq!(scene.world.told(scene.a), expected, "{order:?}, step {step}");
            // Paused by the first step, until the last.
            let expected: &[&str] = match step {
                0 => &["consumerPaused"],
                3 => &["consumerResumed"],
                _ => &[],
            };
            assert_eq!(scene.told_methods(scene.b), expected, "{order:?}, step {step}");
            assert_eq!(scene.paused(), (step < 3, false), "{order:?}, step {step}");
        }
    }
}

#[test]
fn of_a_consumer_the_client_hears_of_the_server() {
    for order in orders(Client, Server) {
        let mut scene = scene(true);
        for (step, (side, paused)) in order.into_iter().enumerate() {
            scene.set_consumer(side, paused);
            scene.set_consumer(side, paused);
            let method = if paused { "consumerPaused" } else { "consumerResumed" };
            let own = json!({ "id": scene.consumer, "peerName": "a", "appData": "why" });
            let expected: Vec<Value> = (side == Server).then(|| notice(method, own)).into_iter().collect();
            assert_eq!(scene.world.told(scene.b), expected, "{order:?}, step {step}");
            assert_eq!(scene.world.told(scene.a), Vec::<Value>::new());
            assert_eq!(scene.paused(), (false, step < 3), "{order:?}, step {step}");
        }
    }
}

#[test]
fn what_source_or_server_has_told_the_other_does_not_repeat() {
    for order in orders(Source, Server) {
        let mut scene = scene(true);
        let (mut of_source, mut of_server) = (false, false);
        for (step, (side, paused)) in order.into_iter().enumerate() {
            scene.set_consumer(side, paused);
            *(if side == Source { &mut of_source } else { &mut of_server }) = paused;
            let expected: &[&str] = match step {
                0 => &["consumerPaused"],
                3 => &["consumerResumed"],
                _ => &[],
            };
            assert_eq!(scene.told_methods(scene.b), expected, "{order:?}, step {step}");
            assert_eq!(scene.paused(), (of_source, of_server), "{order:?}, step {step}");
        }
    }
}

#[test]
fn a_consumer_that_is_not_enabled_is_paused_silently_and_its_client_is_answered_so() {
    for (of_source, of_server) in [(false, false), (false, true), (true, false), (true, true)] {
        for of_client in [false, true] {
            let mut scene = scene(false);
            scene.set_consumer(Source, of_source);
            scene.set_consumer(Server, of_server);
            assert_eq!(scene.told_methods(scene.b), Vec::<String>::new());
            // What the client itself has asked for is no news to it.
            let answer = scene.enable(of_client);
            assert_eq!(answer["paused"], of_source || of_server, "{of_source} {of_server} {of_client}");
            assert_eq!(scene.paused(), (of_source, of_server || of_client));
        }
    }
}
