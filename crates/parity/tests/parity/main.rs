//! Tests of the validator's parts through their public interface. The validator as a whole is measured
//! in `tests/tests/validator`.

mod causes;
mod compare;
