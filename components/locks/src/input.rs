//! What callers give, checked.

use guildhall_guest::{
    Ctx,
    domain::{Code, Problem},
};

/// The resource of the path.
pub(crate) fn resource(ctx: &Ctx) -> Result<String, Problem> {
    Ok(text("resource", ctx.param("resource")?, 200)?.to_owned())
}

/// The holder as it is stored.
pub(crate) fn holder(ctx: &Ctx, name: &str) -> Result<String, Problem> {
    Ok(format!(
        "{}/{}",
        ctx.principal()?.name,
        text("holder", name, 200)?
    ))
}

/// Text of 1 to `most` characters.
pub(crate) fn text<'a>(name: &str, text: &'a str, most: usize) -> Result<&'a str, Problem> {
    if (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(text);
    }
    let detail = format!("`{name}` must be 1 to {most} characters without control characters.");
    Err(Problem::new(Code::InvalidParameter, detail))
}

/// A number from `least` to `most`.
pub(crate) fn number(name: &str, value: i64, least: i64, most: i64) -> Result<i64, Problem> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    Err(Problem::new(
        Code::InvalidParameter,
        format!("`{name}` is {value}; it must be {least} to {most}."),
    ))
}

/// Seconds that a lease lasts.
pub(crate) fn ttl(ttl_s: i64) -> Result<i64, Problem> {
    number("ttl_s", ttl_s, 1, 86_400)
}

/// Seconds to wait in the queue.
pub(crate) fn wait(wait_s: i64) -> Result<i64, Problem> {
    number("wait_s", wait_s, 0, 60)
}
