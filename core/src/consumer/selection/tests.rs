use super::*;
use crate::stream::frame::FrameReader;
use crate::wire::codec::Codec;

fn layers(spatial_layer: u8, temporal_layer: u8) -> ConsumerLayers {
    ConsumerLayers { spatial_layer, temporal_layer: Some(temporal_layer) }
}

/// A VP9 layer frame: `key_only` layers depend on each other in keyframes only.
fn frame(keyframe: bool, key_only: bool, spatial: u8, temporal: u8, sync: bool) -> FrameInfo {
    let for_upper = spatial < 2 && (keyframe || !key_only);
    let first = 0xAC | u8::from(!keyframe) << 6 | u8::from(!for_upper);
    let payload = [first, 1, temporal << 5 | u8::from(sync) << 4 | spatial << 1, 0, 0];
    let mut reader = FrameReader::new(Codec::Vp9);
    // A frame of the highest layer tells that there are three.
    reader.read(1, true, &[0xAC, 1, 2 << 1, 0, 0], &[]);
    reader.read(2, true, &payload, &[])
}

/// Which spatial layers of a picture are sent.
fn picture(selection: &mut Selection, timestamp: u32, keyframe: bool, key_only: bool) -> Vec<u8> {
    let sent = |spatial: &u8| selection.on_packet(timestamp, &frame(keyframe, key_only, *spatial, 0, false));
    [0, 1, 2].into_iter().filter(sent).collect()
}

fn svc() -> Selection {
    let mut selection = Selection::new(ConsumerType::Svc, 3, 3, None);
    selection.begin(0);
    selection
}

#[test]
fn preferences_are_cut_to_what_exists() {
    let mut selection = Selection::new(ConsumerType::Simulcast, 3, 2, None);
    assert_eq!(selection.preferred(), layers(2, 1));
    selection.prefer(layers(7, 7));
    assert_eq!(selection.preferred(), layers(2, 1));
    selection.prefer(ConsumerLayers { spatial_layer: 1, temporal_layer: None });
    assert_eq!(selection.preferred(), layers(1, 1));
    assert_eq!(selection.target().map(|target| target.encoding), Some(2), "decided elsewhere");
    selection.set_target(Some(layers(1, 0)));
    let expected = Selected { encoding: 1, layers: Layers { spatial: 3, temporal: 0 } };
    assert_eq!((selection.target(), selection.current()), (Some(expected), None));
}

#[test]
fn layers_depending_on_each_other_go_down_at_any_picture_and_up_at_a_keyframe() {
    let mut selection = svc();
    assert_eq!(picture(&mut selection, 0, true, false), [0, 1, 2]);
    selection.set_target(Some(layers(1, 2)));
    assert!(!selection.needs_keyframe());
    assert!(selection.on_packet(0, &frame(true, false, 2, 0, false)), "not within the picture");
    assert_eq!(picture(&mut selection, 1, false, false), [0, 1]);
    selection.set_target(Some(layers(2, 2)));
    assert!(selection.needs_keyframe());
    assert_eq!(picture(&mut selection, 2, false, false), [0, 1]);
    assert_eq!(picture(&mut selection, 3, true, false), [0, 1, 2]);
    assert!(!selection.needs_keyframe());
}

#[test]
fn layers_apart_go_down_at_keyframes_only() {
    let mut selection = svc();
    assert_eq!(picture(&mut selection, 0, true, true), [0, 1, 2], "all of a key picture is needed");
    assert_eq!(picture(&mut selection, 1, false, true), [2]);
    selection.set_target(Some(layers(0, 2)));
    assert!(selection.needs_keyframe());
    assert_eq!(picture(&mut selection, 2, false, true), [2]);
    assert_eq!(picture(&mut selection, 3, true, true), [0]);
    assert_eq!(picture(&mut selection, 4, false, true), [0]);
    assert_eq!(selection.current_layers(), Some(layers(0, 2)));
}

#[test]
fn the_picture_behind_a_key_picture_may_still_go_down() {
    let mut selection = svc();
    picture(&mut selection, 0, true, true);
    selection.set_target(Some(layers(1, 2)));
    assert!(!selection.needs_keyframe());
    assert_eq!(picture(&mut selection, 1, false, true), [1]);
}

#[test]
fn temporal_layers_go_down_at_once_and_up_step_by_step() {
    let mut selection = Selection::new(ConsumerType::Svc, 1, 3, None);
    selection.begin(0);
    let sent = |selection: &mut Selection, timestamp, temporal, sync| {
        selection.on_packet(timestamp, &frame(false, false, 0, temporal, sync))
    };
    selection.set_target(Some(layers(0, 0)));
    assert!(sent(&mut selection, 0, 2, false), "the picture that has begun ends");
    assert!(!sent(&mut selection, 1, 1, true));
    assert!(sent(&mut selection, 2, 0, false));
    selection.set_target(Some(layers(0, 2)));
    assert!(!sent(&mut selection, 3, 2, true), "two steps at once");
    assert!(!sent(&mut selection, 4, 1, false), "refers to what was not sent");
    assert!(sent(&mut selection, 5, 1, true));
    assert!(!sent(&mut selection, 6, 2, false));
    assert!(sent(&mut selection, 7, 2, true));
    assert!(sent(&mut selection, 8, 2, false));
    assert_eq!(selection.current_layers(), Some(layers(0, 2)));
}

#[test]
fn nothing_is_sent_without_a_target() {
    let mut selection = svc();
    selection.set_target(None);
    assert!(selection.on_packet(0, &frame(true, false, 0, 0, false)), "the picture that has begun ends");
    assert!(!selection.on_packet(1, &frame(true, false, 0, 0, false)));
    assert_eq!((selection.current(), selection.needs_keyframe()), (None, false));
}
