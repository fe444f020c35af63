def install(
    cls: type,
    kept_is_full: int,
    closing: int,
    landing: int,
    has_marks: int,
    for_bytes: int,
    default_mark: int,
    /,
) -> None: ...
