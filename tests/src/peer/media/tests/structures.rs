//! The choice of layers by structures written down by hand: what browsers send, frame by frame.
use sansfu::consumer::Selection;
use sansfu::event::ConsumerLayers;
use sansfu::ortc::ConsumerType;
use sansfu::stream::frame::{FrameInfo, FrameReader, LayersSet};
use sansfu::wire::codec::Codec;

use crate::fuzzing::dependency_descriptor::BitWriter;

/// Spatial and temporal layer, frame differences, chain differences, decode target indications.
#[derive(Debug, Clone)]
struct Template(u8, u8, Vec<u32>, Vec<u32>, String);

/// The templates, and for each decode target its chain.
struct Structure {
    templates: Vec<Template>,
    protected_by: Vec<u32>,
}

/// A sender that sends frames of that structure to one consumer.
struct Stream {
    structure: Structure,
    reader: FrameReader,
    selection: Selection,
    frame_number: u16,
    picture: u32,
}

fn template(spatial: u8, temporal: u8, frames: &[u32], chains: &[u32], indications: &str) -> Template {
    Template(spatial, temporal, frames.to_vec(), chains.to_vec(), indications.to_owned())
}

/// As libwebrtc has it: the temporal layers of the upper spatial layer are shifted by a picture.
fn l2t2_key_shift() -> Structure {
    Structure {
        templates: vec![
            template(0, 0, &[], &[0, 0], "SSSS"),
            template(0, 0, &[2], &[2, 1], "SS--"),
            template(0, 0, &[4], &[4, 1], "SS--"),
            template(0, 1, &[2], &[2, 3], "-D--"),
            template(1, 0, &[1], &[1, 1], "--SS"),
            template(1, 0, &[4], &[3, 4], "--SS"),
            template(1, 1, &[2], &[1, 2], "---D"),
        ],
        protected_by: vec![0, 0, 1, 1],
    }
}

/// The pictures that follow the keyframe, by their templates; the last two repeat themselves.
const L2T2_KEY_SHIFT: [&[usize]; 5] = [&[0, 4], &[1, 6], &[3, 5], &[2, 6], &[3, 5]];

/// Simulcast within one stream: nothing refers to another spatial layer. With one of them it is L1T3. Templates are, for each
/// spatial layer, the keyframe and the pictures of the period.
fn simulcast(spatial_layers: u32) -> Structure {
    let mut templates = Vec::new();
    for own in 0..spatial_layers {
        let indications = |own_indications: &str| {
            let of = |spatial| if spatial == own { own_indications } else { "---" };
            (0..spatial_layers).map(of).collect::<String>()
        };
        for (pictures, temporal, back, own_indications) in
            [(0, 0, 0, "SSS"), (4, 0, 4, "SSS"), (2, 1, 2, "-DS"), (1, 2, 1, "--D"), (3, 2, 1, "--D")]
        {
            // The frame of the base temporal layer before this one: those of lower spatial layers are in the same picture.
            let chain = |chain: u32| match temporal {
                0 if chain < own => own - chain,
                0 if pictures == 0 => 0,
                _ => pictures * spatial_layers + own - chain,
            };
            let chains: Vec<u32> = (0..spatial_layers).map(chain).collect();
            let frames: Vec<u32> = (back > 0).then_some(back * spatial_layers).into_iter().collect();
            templates.push(template(own as u8, temporal, &frames, &chains, &indications(own_indications)));
        }
    }
    Structure { templates, protected_by: (0..spatial_layers * 3).map(|target| target / 3).collect() }
}

fn l2t1() -> Structure {
    Structure {
        templates: vec![
            template(0, 0, &[], &[0, 0], "SS"),
            template(0, 0, &[2], &[2, 1], "SR"),
            template(0, 0, &[1], &[1, 1], "SR"),
            template(1, 0, &[1], &[1, 1], "-S"),
            template(1, 0, &[2, 1], &[1, 1], "-R"),
        ],
        protected_by: vec![0, 1],
    }
}

impl Structure {
    fn write(&self, bits: &mut BitWriter) {
        let targets = self.protected_by.len() as u32;
        bits.put(0, 6);
        bits.put(targets - 1, 5);
        for pair in self.templates.windows(2) {
            let step = if pair[1].0 > pair[0].0 { 2 } else { u32::from(pair[1].1 > pair[0].1) };
            bits.put(step, 2);
        }
        bits.put(3, 2);
        for indication in self.templates.iter().flat_map(|template| template.4.chars()) {
            bits.put("-DSR".find(indication).unwrap() as u32, 2);
        }
        for template in &self.templates {
            template.2.iter().for_each(|difference| bits.put(16 | (difference - 1), 5));
            bits.put(0, 1);
        }
        let chains = self.protected_by.iter().max().unwrap() + 1;
        bits.put_below(chains, targets + 1);
        self.protected_by.iter().for_each(|chain| bits.put_below(*chain, chains));
        for template in &self.templates {
            template.3.iter().for_each(|difference| bits.put(*difference, 4));
        }
        bits.put(0, 1);
    }
}

impl Stream {
    fn new(structure: Structure, spatial_layers: u8, temporal_layers: u8) -> Self {
        Stream {
            structure,
            reader: FrameReader::new(Codec::Av1),
            selection: Selection::new(ConsumerType::Svc, spatial_layers, temporal_layers, None),
            frame_number: 1,
            picture: 0,
        }
    }

    fn read(&mut self, template: usize, active: Option<u32>) -> FrameInfo {
        self.frame_number += 1;
        let mut bits = BitWriter::default();
        bits.put(0b11, 2);
        bits.put(template as u32, 6);
        bits.put(self.frame_number.into(), 16);
        let begins = template == 0;
        if begins || active.is_some() {
            bits.put(u32::from(begins) << 4 | u32::from(active.is_some()) << 3, 5);
        }
        if begins {
            self.structure.write(&mut bits);
        }
        if let Some(active) = active {
            bits.put(active, self.structure.protected_by.len());
        }
        self.reader.read(self.frame_number.into(), true, &[], &bits.to_bytes())
    }

    /// Sends a picture and says of which spatial layers frames were forwarded.
    fn picture_with(&mut self, templates: &[usize], active: Option<u32>) -> Vec<u8> {
        self.picture += 1;
        let mut sent = Vec::new();
        for template in templates {
            let frame = self.read(*template, active);
            if frame.keyframe && self.selection.current().is_none() {
                self.selection.begin(self.picture);
            }
            if self.selection.on_packet(self.picture, &frame) {
                sent.push(frame.spatial_id);
            }
        }
        sent
    }

    fn picture(&mut self, templates: &[usize]) -> Vec<u8> {
        self.picture_with(templates, None)
    }

    fn choose(&mut self, spatial_layer: u8, temporal_layer: u8) {
        self.selection
            .set_target(Some(ConsumerLayers { spatial_layer, temporal_layer: Some(temporal_layer) }));
    }

    fn layers(&self) -> Option<(u8, u8)> {
        self.selection.current_layers().map(|layers| (layers.spatial_layer, layers.temporal_layer.unwrap()))
    }
}

#[test]
fn temporal_layers_share_a_chain() {
    let mut stream = Stream::new(simulcast(1), 1, 3);
    let sent = |stream: &mut Stream, templates: [usize; 4]| {
        templates.map(|template| !stream.picture(&[template]).is_empty())
    };
    assert_eq!(stream.picture(&[0]), [0]);
    assert_eq!(sent(&mut stream, [3, 2, 4, 1]), [true; 4]);
    stream.choose(0, 0);
    assert_eq!(sent(&mut stream, [3, 2, 4, 1]), [false, false, false, true]);
    assert!(!stream.selection.needs_keyframe());
    stream.choose(0, 2);
    assert_eq!(sent(&mut stream, [3, 2, 4, 1]), [false, false, false, true], "the next frame of the base");
    assert_eq!(sent(&mut stream, [3, 2, 4, 1]), [true; 4]);
    stream.selection.lose(LayersSet::row(0));
    assert!(stream.selection.needs_keyframe());
    assert_eq!(sent(&mut stream, [3, 2, 4, 1]), [false; 4]);
    assert_eq!(stream.layers(), None);
    assert_eq!(stream.picture(&[0]), [0]);
    assert!(!stream.selection.needs_keyframe());
}

#[test]
fn shifted_layers_are_switched_at_keyframes() {
    let mut stream = Stream::new(l2t2_key_shift(), 2, 2);
    let sent: Vec<Vec<u8>> = L2T2_KEY_SHIFT.iter().map(|picture| stream.picture(picture)).collect();
    assert_eq!(sent, [vec![0, 1], vec![1], vec![1], vec![1], vec![1]]);
    stream.choose(0, 1);
    assert!(stream.selection.needs_keyframe(), "its frames were left out");
    assert_eq!(stream.picture(L2T2_KEY_SHIFT[3]), [1]);
    let sent: Vec<Vec<u8>> = L2T2_KEY_SHIFT.iter().map(|picture| stream.picture(picture)).collect();
    assert_eq!(sent, [[0]; 5]);
    assert!(!stream.selection.needs_keyframe());
    stream.choose(1, 1);
    assert!(stream.selection.needs_keyframe());
    assert_eq!(stream.picture(L2T2_KEY_SHIFT[3]), [0]);
    assert_eq!((stream.picture(L2T2_KEY_SHIFT[4]), stream.layers()), (vec![0], Some((0, 1))));
    assert_eq!(stream.picture(L2T2_KEY_SHIFT[0]), [0, 1]);
}

#[test]
fn a_keyframe_leaves_every_chain_unbroken_until_one_is_left() {
    let mut stream = Stream::new(l2t2_key_shift(), 2, 2);
    stream.picture(L2T2_KEY_SHIFT[0]);
    stream.choose(0, 1);
    assert!(!stream.selection.needs_keyframe(), "all that its chain has was sent");
    assert_eq!(stream.picture(L2T2_KEY_SHIFT[1]), [0]);
    assert_eq!(stream.picture(L2T2_KEY_SHIFT[2]), [0]);
}

#[test]
fn simulcast_in_one_stream_sends_one_layer() {
    let mut stream = Stream::new(simulcast(3), 3, 3);
    let of = |place: usize| [place, 5 + place, 10 + place];
    for place in [0, 3, 2, 4, 1] {
        assert_eq!(stream.picture(&of(place)), [2]);
    }
    stream.choose(0, 2);
    assert!(stream.selection.needs_keyframe());
    assert_eq!(stream.picture(&of(3)), [2]);
    assert_eq!(stream.picture(&of(0)), [0]);
    assert_eq!(stream.picture(&of(3)), [0]);
    stream.choose(1, 2);
    stream.selection.lose(LayersSet::row(0));
    assert_eq!((stream.picture(&of(2)), stream.layers()), (vec![], None), "nothing else is there to be sent");
}

#[test]
fn layers_that_are_switched_off_are_not_waited_for() {
    let mut stream = Stream::new(l2t1(), 2, 1);
    assert_eq!((stream.picture(&[0, 3]), stream.picture(&[1, 4])), (vec![0, 1], vec![0, 1]));
    assert_eq!(stream.picture_with(&[1], Some(0b01)), [0]);
    assert_eq!((stream.layers(), stream.selection.needs_keyframe()), (Some((0, 0)), false));
    assert_eq!((stream.picture(&[2]), stream.picture(&[2])), (vec![0], vec![0]));
    // Back again, and what it refers to was sent: no keyframe is needed.
    assert_eq!(stream.picture_with(&[2, 3], Some(0b11)), [0, 1]);
    assert_eq!((stream.layers(), stream.selection.needs_keyframe()), (Some((1, 0)), false));
    // Switched off once more, and back after the consumer has gone down.
    stream.picture_with(&[1], Some(0b01));
    stream.choose(0, 0);
    assert_eq!(stream.picture_with(&[2, 3], Some(0b11)), [0]);
    stream.choose(1, 0);
    assert!(stream.selection.needs_keyframe(), "frames of it were left out");
    assert_eq!(stream.picture(&[1, 4]), [0]);
    assert_eq!(stream.picture(&[0, 3]), [0, 1]);
}

#[test]
fn a_gap_breaks_the_chains_of_what_is_not_sent() {
    let mut stream = Stream::new(l2t1(), 2, 1);
    stream.picture(&[0, 3]);
    assert_eq!((stream.picture_with(&[1], Some(0b01)), stream.layers()), (vec![0], Some((0, 0))));
    // A picture of which nothing has come; what was in it may be part of the upper layer's chain.
    stream.frame_number += 1;
    assert_eq!(stream.picture_with(&[2, 3], Some(0b11)), [0]);
    assert!(stream.selection.needs_keyframe());
}
