//! Calls between entities of one tree: a request and its answer, as plain data.

use crate::codec::{decode, encode};
use crate::sbb::Failure;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request of an SBB's local interface, with the type of its answer.
pub trait LocalCall: Serialize + DeserializeOwned {
    /// Name of the call, for example `rating.price`.
    const NAME: &'static str;
    /// What the callee answers.
    type Answer: Serialize + DeserializeOwned;
}

/// A call as its callee gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    name: &'static str,
    payload: Vec<u8>,
}

/// What the callee answered; made by [`Call::answer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(Vec<u8>);

impl Call {
    /// The call `request`.
    pub(crate) fn of<C: LocalCall>(request: &C) -> Result<Self, Failure> {
        Ok(Call { name: C::NAME, payload: encode(request)? })
    }

    /// [`LocalCall::NAME`].
    pub fn name(&self) -> &str {
        self.name
    }

    /// The request, if it is a `C`.
    ///
    /// # Errors
    /// A call that bears the name of `C` and cannot be read as `C`.
    pub fn get<C: LocalCall>(&self) -> Result<Option<C>, Failure> {
        if self.name != C::NAME {
            return Ok(None);
        }
        Ok(Some(decode(&self.payload)?))
    }

    /// The answer to the call `C`.
    ///
    /// # Errors
    /// An answer that cannot be encoded.
    pub fn answer<C: LocalCall>(&self, answer: &C::Answer) -> Result<Answer, Failure> {
        Ok(Answer(encode(answer)?))
    }
}

impl Answer {
    pub(crate) fn read<C: LocalCall>(&self) -> Result<C::Answer, Failure> {
        Ok(decode(&self.0)?)
    }
}
