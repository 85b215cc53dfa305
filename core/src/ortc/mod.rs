//! The ORTC dictionaries and mediasoup's negotiation, as pure functions.
