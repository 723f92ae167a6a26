"""What logged media show of themselves."""

import pytest

from runlake.history.media import MediaItem
from runlake.public.media import Media, MediaList


@pytest.mark.parametrize("make", [lambda media: media, lambda media: MediaList([media])])
def test_a_file_that_is_gone_is_named_in_the_card(make, tmp_path):
    media = Media(MediaItem("image", "media/cat.png", "", {}), tmp_path / "cat.png")
    assert "FileNotFoundError" in make(media)._repr_html_()
    assert (media._repr_png_(), media._repr_jpeg_()) == (None, None)
