mod life;
mod script;

#[cfg(feature = "controller")]
mod https;
#[cfg(feature = "controller")]
mod tenant;
