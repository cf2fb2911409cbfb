//! The canonical encoding of nodes, as in RFC 0001: MessagePack written by hand, one encoding for one content.
