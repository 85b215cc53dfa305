//! H264 `profile-level-id` (RFC 6184 section 8.1), compared and answered as in RFC 6184 section 8.2.2.

use super::codec_parameters::{CodecParameters, ParameterValue};

/// A profile and a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileLevelId {
    /// The profile.
    pub profile: Profile,
    /// The level.
    pub level: Level,
}

/// The profiles that WebRTC knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Constrained Baseline.
    ConstrainedBaseline,
    /// Baseline.
    Baseline,
    /// Main.
    Main,
    /// Constrained High.
    ConstrainedHigh,
    /// High.
    High,
    /// High 4:4:4 Predictive.
    PredictiveHigh444,
}

/// A level: ten times its number (31 is level 3.1), or 1b.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Level 1b, which is between 1 and 1.1.
    L1b,
    /// Any other one.
    Number(u8),
}

const LEVEL_1: Level = Level::Number(10);
const LEVELS: [u8; 16] = [10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52];
/// constraint_set3_flag: with `level_idc` 11 it means 1b in the profiles up to Main.
const CONSTRAINT_SET3: u8 = 0x10;

/// `profile_idc`, the bits of `profile-iop` that matter, what they have to be, and the profile.
const PATTERNS: [(u8, u8, u8, Profile); 8] = [
    (0x42, 0b0100_1111, 0b0100_0000, Profile::ConstrainedBaseline),
    (0x4d, 0b1000_1111, 0b1000_0000, Profile::ConstrainedBaseline),
    (0x58, 0b1100_1111, 0b1100_0000, Profile::ConstrainedBaseline),
    (0x42, 0b0100_1111, 0b0000_0000, Profile::Baseline),
    (0x58, 0b1100_1111, 0b1000_0000, Profile::Baseline),
    (0x4d, 0b1010_1111, 0b0000_0000, Profile::Main),
    (0x64, 0b1111_1111, 0b0000_0000, Profile::High),
    (0x64, 0b1111_1111, 0b0000_1100, Profile::ConstrainedHigh),
];
const PREDICTIVE_HIGH_444: u8 = 0xf4;

impl ProfileLevelId {
    /// Reads six hexadecimal digits; `None` if they are not that, or profile or level is unknown.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let [_, profile_idc, profile_iop, level_idc] = u32::from_str_radix(text, 16).ok()?.to_be_bytes();
        let level = match level_idc {
            11 if profile_iop & CONSTRAINT_SET3 != 0 => Level::L1b,
            number if LEVELS.contains(&number) => Level::Number(number),
            _ => return None,
        };
        Some(Self { profile: profile_of(profile_idc, profile_iop)?, level })
    }

    /// The profile and level of a codec; `None` if what is written there is invalid.
    ///
    /// Nothing written is Constrained Baseline of level 3.1, as WebRTC has it (RFC 6184 would say Baseline of level 1).
    pub fn of(parameters: &CodecParameters) -> Option<Self> {
        match parameters.get(PROFILE_LEVEL_ID) {
            None => Some(Self { profile: Profile::ConstrainedBaseline, level: Level::Number(31) }),
            Some(value) => Self::parse(value.as_str()?),
        }
    }

    /// Six lower-case digits, the canonical ones of the profile.
    fn canonical(self) -> String {
        let (first, level) = match (self.profile, self.level) {
            (Profile::ConstrainedBaseline, Level::L1b) => ("42f0", 11),
            (Profile::Baseline, Level::L1b) => ("4210", 11),
            // No other profile above Main has a level 1b to begin with.
            (_, Level::L1b) => ("4d10", 11),
            (Profile::ConstrainedBaseline, Level::Number(level)) => ("42e0", level),
            (Profile::Baseline, Level::Number(level)) => ("4200", level),
            (Profile::Main, Level::Number(level)) => ("4d00", level),
            (Profile::ConstrainedHigh, Level::Number(level)) => ("640c", level),
            (Profile::High, Level::Number(level)) => ("6400", level),
            (Profile::PredictiveHigh444, Level::Number(level)) => ("f400", level),
        };
        format!("{first}{level:02x}")
    }
}

/// The parameter's name in SDP and JSON.
pub(super) const PROFILE_LEVEL_ID: &str = "profile-level-id";

/// Whether both are valid and of the same profile, whatever the levels.
pub(super) fn same_profile(one: &CodecParameters, other: &CodecParameters) -> bool {
    match (ProfileLevelId::of(one), ProfileLevelId::of(other)) {
        (Some(one), Some(other)) => one.profile == other.profile,
        _ => false,
    }
}

/// The `profile-level-id` that a producer has after negotiation with a router's codec of the same profile: its own
/// level if both allow level asymmetry, else the lower one. `None` if neither says anything, or one is invalid.
pub(super) fn answered_profile_level_id(
    producer: &CodecParameters,
    router: &CodecParameters,
) -> Option<String> {
    if producer.get(PROFILE_LEVEL_ID).is_none() && router.get(PROFILE_LEVEL_ID).is_none() {
        return None;
    }
    let own = ProfileLevelId::of(producer)?;
    let other = ProfileLevelId::of(router)?;
    let level = if allows_asymmetry(producer) && allows_asymmetry(router) {
        own.level
    } else {
        lower_level(own.level, other.level)
    };
    Some(ProfileLevelId { profile: own.profile, level }.canonical())
}

fn allows_asymmetry(parameters: &CodecParameters) -> bool {
    match parameters.get("level-asymmetry-allowed") {
        Some(ParameterValue::String(text)) => text == "1",
        Some(value) => value.as_u64() == Some(1),
        None => false,
    }
}

/// The lower of the producer's and the router's level.
///
/// Clients count on mediasoup's results, and the package that it uses (h264-profile-level-id 2.3.3) orders 1b wrongly:
/// the producer's level stays against a router's 1b unless it is 1, and the producer's 1b stays against all but 1.
fn lower_level(producer: Level, router: Level) -> Level {
    match (producer, router) {
        (Level::L1b, LEVEL_1) | (LEVEL_1, Level::L1b) => router,
        (Level::L1b, _) | (_, Level::L1b) => producer,
        (Level::Number(own), Level::Number(other)) => Level::Number(own.min(other)),
    }
}

fn profile_of(profile_idc: u8, profile_iop: u8) -> Option<Profile> {
    if profile_idc == PREDICTIVE_HIGH_444 && profile_iop == 0 {
        return Some(Profile::PredictiveHigh444);
    }
    let pattern =
        PATTERNS.iter().find(|(idc, mask, bits, _)| *idc == profile_idc && profile_iop & mask == *bits)?;
    Some(pattern.3)
}
