"""Names of the policies that make views, and checks of what all makers of views take."""

VIEW_POLICIES = ("none", "light", "simclr", "randaugment")


def check_policy(policy: str) -> None:
    """Check the name of a policy.

    Raises:
        ValueError: if it is not one of `VIEW_POLICIES`.
    """
    if policy not in VIEW_POLICIES:
        raise ValueError(
            f"`policy` must be one of {', '.join(VIEW_POLICIES)}. Received: policy={policy!r}"
        )


def check_image_size(image_size: int) -> None:
    """Check the side of the images.

    Raises:
        ValueError: if it is not a positive integer.
    """
    whole = hasattr(image_size, "__index__") and not isinstance(image_size, bool)
    if not whole or image_size < 1:
        raise ValueError(
            f"`image_size` must be a positive integer. Received: image_size={image_size!r}"
        )
