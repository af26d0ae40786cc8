//! The resource: types that are the CRD, and nothing else.
