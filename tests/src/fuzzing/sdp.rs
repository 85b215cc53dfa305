//! Raw SDP: through the parser, and as offers and fragments to WHIP and WHEP resources.
use std::collections::BTreeSet;

use sansfu::ortc::default_media_codecs;
use sansfu::server::HttpResponse;
use sansfu::webrtc::Fragment;
use sansfu::webrtc::sdp::{MediaSection, Offer, Setup};

use super::house::House;

const SDP: Option<&str> = Some("application/sdp");
const FRAGMENT: Option<&str> = Some("application/trickle-ice-sdpfrag");
/// Somebody to watch: Chromium with camera and microphone.
const PUBLISHED: &[u8] = include_bytes!("../../sdp/chromium-sendonly.sdp");

/// An offer and, behind a zero byte, a fragment for its resource. The first byte says whether it publishes or watches.
pub fn sdp(data: &[u8]) {
    let Some((&face, rest)) = data.split_first() else { return };
    let (offer, fragment) = match rest.iter().position(|byte| *byte == 0) {
        Some(position) => (&rest[..position], &rest[position + 1..]),
        None => (rest, &[][..]),
    };
    let parsed = std::str::from_utf8(offer).ok().and_then(|text| Offer::parse(text).ok());
    parsed.iter().for_each(check_offer);
    let mut house = House::new(default_media_codecs());
    let response = if face & 1 == 0 {
        house.http("POST", "/whip/room/peer", SDP, None, offer)
    } else {
        let published = house.http("POST", "/whip/room/peer", SDP, None, PUBLISHED);
        assert_eq!(published.status, 201);
        house.http("POST", "/whep/room/peer", SDP, None, offer)
    };
    if response.status == 201 {
        check_answer(&parsed.expect("what is answered can be parsed"), &response);
        resource(&mut house, &response, fragment);
    } else {
        assert!(matches!(response.status, 400 | 406 | 422 | 503), "{response:?}");
        assert!(response.body.len() > 5, "it says why");
    }
    house.finish();
}

/// What the parser promises.
fn check_offer(offer: &Offer) {
    let mids: Vec<_> = offer.sections.iter().filter_map(|section| section.mid.as_ref()).collect();
    assert_eq!(mids.iter().collect::<BTreeSet<_>>().len(), mids.len(), "MIDs are unique");
    for section in &offer.sections {
        assert!(!section.formats.is_empty());
        assert!(section.codecs.iter().all(|codec| codec.payload_type < 128 && codec.clock_rate > 0));
        let ids: BTreeSet<_> = section.extensions.iter().map(|extension| extension.id).collect();
        assert!(ids.len() == section.extensions.len() && !ids.contains(&0) && !ids.contains(&15));
        let all = || section.sources.iter().map(|source| source.ssrc);
        assert_eq!(all().collect::<BTreeSet<_>>().len(), all().count(), "SSRCs are unique");
    }
}

/// JSEP's rules for answers (RFC 8829 section 5.3): as many sections in the same order with the same names; what is accepted was
/// offered.
fn check_answer(offer: &Offer, response: &HttpResponse) {
    let answer = Offer::parse(&response.body).unwrap_or_else(|error| panic!("{error:?}: {}", response.body));
    assert!(response.body.split_inclusive('\n').all(|line| line.ends_with("\r\n") && line.len() > 4));
    assert!(answer.ice_lite && answer.sections.len() == offer.sections.len());
    let mut accepted = 0;
    for (own, offered) in answer.sections.iter().zip(&offer.sections) {
        assert_eq!((&own.media_name, &own.protocol), (&offered.media_name, &offered.protocol));
        assert_eq!(own.mid, offered.mid);
        if own.is_rejected() {
            assert!(!own.mid.as_ref().is_some_and(|mid| answer.bundle.contains(mid)));
            continue;
        }
        accepted += 1;
        check_section(&answer, own, offered);
    }
    assert!(accepted > 0, "otherwise it is refused");
    assert!(answer.bundle.iter().all(|mid| offer.bundle.contains(mid)));
}

fn check_section(answer: &Offer, own: &MediaSection, offered: &MediaSection) {
    assert!(!offered.is_rejected() && own.rtcp_mux);
    assert!(!own.direction.sends() || offered.direction.receives());
    assert!(!own.direction.receives() || offered.direction.sends());
    assert!(own.formats.iter().all(|format| offered.formats.contains(format)));
    for codec in &own.codecs {
        let same = offered.codec(codec.payload_type).expect("an offered codec");
        assert!(codec.name.eq_ignore_ascii_case(&same.name));
        assert_eq!(codec.clock_rate, same.clock_rate);
        assert!(codec.feedback.iter().all(|feedback| same.feedback.contains(feedback)));
    }
    for extension in &own.extensions {
        assert!(offered.extensions.iter().any(|same| same.uri == extension.uri && same.id == extension.id));
    }
    let transport = answer.transport_of(own);
    assert!(transport.username_fragment.is_some() && transport.password.is_some());
    assert!(
        !transport.fingerprints.is_empty() && transport.setup.is_some_and(|setup| setup != Setup::ActPass)
    );
}

/// The fragment goes to the resource with the right tag, with any, with a wrong one and with none; then the resource is deleted.
fn resource(house: &mut House, created: &HttpResponse, fragment: &[u8]) {
    let location = created.header("location").expect("RFC 9725 section 4.2").to_owned();
    let etag = created.header("etag").expect("RFC 9725 section 4.3.1").to_owned();
    let readable = std::str::from_utf8(fragment).ok().and_then(|text| Fragment::parse(text).ok());
    assert_eq!(
        house.http("PATCH", &location, FRAGMENT, None, fragment).status,
        if is_text(fragment) { 428 } else { 400 }
    );
    if is_text(fragment) {
        assert_eq!(house.http("PATCH", &location, FRAGMENT, Some("\"other\""), fragment).status, 412);
    }
    let patched = house.http("PATCH", &location, FRAGMENT, Some(&etag), fragment);
    match (&readable, patched.status) {
        (Some(read), 200) => {
            assert!(read.username_fragment.is_some() && read.password.is_some());
            let told = Fragment::parse(&patched.body).expect("our own fragment");
            assert!(told.username_fragment.is_some() && told.password.is_some() && told.candidates > 0);
            assert_ne!(patched.header("etag"), Some(&*etag));
        }
        (Some(_), 204) | (_, 400) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(house.http("DELETE", &location, None, None, b"").status, 200);
    assert_eq!(house.http("DELETE", &location, None, None, b"").status, 404);
}

fn is_text(fragment: &[u8]) -> bool {
    std::str::from_utf8(fragment).is_ok()
}
