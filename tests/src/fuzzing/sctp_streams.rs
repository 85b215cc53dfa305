//! Parameters of SCTP streams, and the ids that they get, against tables.
use std::collections::BTreeSet;

use sansfu::ortc::{
    DataConsumerReliability, SctpStreamParameters, StreamIds, data_consumer_stream_parameters,
};
use serde_json::{Value, json};

use crate::choices::Choices;

/// Parameters made of a few choices, a consumer's wishes, and ids given out and given back.
pub fn sctp_streams(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    while !input.is_exhausted() {
        let (ordered, life_time, retransmits) = (tristate(&mut input), limit(&mut input), limit(&mut input));
        let mut value = json!({ "streamId": input.u16() });
        for (name, member) in [
            ("ordered", ordered.map(Value::from)),
            ("maxPacketLifeTime", life_time.map(Value::from)),
            ("maxRetransmits", retransmits.map(Value::from)),
        ] {
            if let Some(member) = member {
                value[name] = member;
            }
        }
        let limited = |limit: Option<u16>| limit.is_some_and(|limit| limit > 0);
        let (timed, counted) = (limited(life_time), limited(retransmits));
        let in_range = value["streamId"].as_u64().is_some_and(|id| id <= 65_534);
        let legal = in_range && !(timed && counted) && !(ordered == Some(true) && (timed || counted));
        let read = SctpStreamParameters::from_json(&value);
        assert_eq!(read.is_ok(), legal, "{value}: {read:?}");
        if let Ok(parameters) = read {
            assert_eq!(parameters.ordered, ordered.unwrap_or(!timed && !counted));
            consume(&mut input, &parameters);
        }
        allocate(&mut input);
    }
}

fn tristate(input: &mut Choices<'_>) -> Option<bool> {
    input.pick(&[None, Some(false), Some(true)])
}

fn limit(input: &mut Choices<'_>) -> Option<u16> {
    match input.range(0, 3) {
        0 => None,
        1 => Some(0),
        _ => Some(input.u16()),
    }
}

fn consume(input: &mut Choices<'_>, producer: &SctpStreamParameters) {
    let wish = DataConsumerReliability {
        ordered: tristate(input),
        max_packet_life_time: limit(input),
        max_retransmits: limit(input),
    };
    let stream_id = input.u16();
    let given = data_consumer_stream_parameters(producer, &wish, stream_id);
    assert_eq!(given.stream_id, stream_id);
    if wish.ordered == Some(true) {
        assert_eq!((given.ordered, given.max_packet_life_time, given.max_retransmits), (true, None, None));
        return;
    }
    let asked = |wish: Option<u16>, own: Option<u16>| wish.filter(|limit| *limit > 0).or(own);
    assert_eq!(given.max_packet_life_time, asked(wish.max_packet_life_time, producer.max_packet_life_time));
    assert_eq!(given.max_retransmits, asked(wish.max_retransmits, producer.max_retransmits));
    let asks = wish.max_packet_life_time.is_some_and(|limit| limit > 0)
        || wish.max_retransmits.is_some_and(|limit| limit > 0);
    assert_eq!(given.ordered, !asks && wish.ordered.unwrap_or(producer.ordered));
}

/// Ids are free, below the limit, and there is one as long as not all are taken.
fn allocate(input: &mut Choices<'_>) {
    let (limit, mut ids) = (input.range(0, 20) as u16, StreamIds::default());
    let mut taken = BTreeSet::new();
    for _ in 0..input.range(0, 60) {
        if input.percent(30) {
            taken.remove(&(input.range(0, 20) as u16));
            continue;
        }
        match ids.allocate(limit, |id| taken.contains(&id)) {
            Ok(id) => assert!(id < limit && taken.insert(id), "{id} of {limit}: {taken:?}"),
            Err(_) => assert_eq!(taken.range(..limit).count(), usize::from(limit)),
        }
    }
}
