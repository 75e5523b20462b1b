//! Protobuf, with a bound on how much a short message may become.
//!
//! Two bytes are enough for an element of a list, and an element takes a hundred in memory: a message that is
//! well within its bound of bytes could keep a thread busy for long. So the elements are counted first.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// The most fields a message has, each element of a list counted. The longest list of the contract, a page,
/// has 1,000.
const FIELDS_MAX: usize = 1024;

/// What the generated services and clients use.
#[derive(Debug)]
pub struct BoundedCodec<T, U>(PhantomData<(T, U)>);

/// Decodes messages of a bounded number of fields.
#[derive(Debug)]
pub struct BoundedDecoder<U>(ProstDecoder<U>);

impl<T, U> Default for BoundedCodec<T, U> {
    fn default() -> BoundedCodec<T, U> {
        BoundedCodec(PhantomData)
    }
}

impl<T, U> Codec for BoundedCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> ProstEncoder<T> {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> BoundedDecoder<U> {
        BoundedDecoder(ProstCodec::<T, U>::default().decoder())
    }
}

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        if fields(buffer.chunk()) > FIELDS_MAX {
            let what = format!("the message has more than {FIELDS_MAX} fields and elements");
            return Err(Status::invalid_argument(what));
        }
        self.0.decode(buffer)
    }
}

/// So many fields the message has, up to where it is no message any more, and no further than it takes to see
/// that they are too many.
fn fields(mut message: &[u8]) -> usize {
    let mut fields = 0;
    while !message.is_empty() && fields <= FIELDS_MAX {
        let Ok((number, wire_type)) = decode_key(&mut message) else {
            break;
        };
        fields += 1;
        if skip_field(wire_type, number, &mut message, DecodeContext::default()).is_err() {
            break;
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1;

    fn batch(count: usize) -> Vec<u8> {
        let request = v1::VerifyRequest {
            secret: "kn_a".to_owned(),
            required_scopes: vec!["read".to_owned(); 3],
            ..Default::default()
        };
        let requests = vec![request; count];
        v1::BatchVerifyRequest { requests }.encode_to_vec()
    }

    #[test]
    fn elements_are_counted_and_what_is_in_them_is_not() {
        assert_eq!(fields(&[]), 0);
        assert_eq!(fields(&batch(100)), 100);
        assert_eq!(fields(&batch(FIELDS_MAX)), FIELDS_MAX);
        let request = v1::VerifyRequest {
            secret: "kn_a".to_owned(),
            namespace: "notes".to_owned(),
            required_scopes: vec!["read".to_owned(); 3],
            consistency: None,
            context: None,
            cost: None,
        };
        assert_eq!(fields(&request.encode_to_vec()), 5);
    }

    #[test]
    fn counting_ends_where_there_are_too_many_or_it_is_garbage() {
        assert_eq!(fields(&batch(60_000)), FIELDS_MAX + 1);
        assert_eq!(fields(&[0x0a, 0x00, 0xff]), 1);
        assert_eq!(fields(&[0x0a, 0x7f]), 1);
        assert_eq!(fields(&[0xff; 32]), 0);
    }
}
