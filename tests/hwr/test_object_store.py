"""What stores other than S3 say when they fail is told in one line, and never taken for something about a file."""

from datetime import timedelta

import pyarrow.fs as pafs
import pytest

from hwr.errors import StorageError
from hwr.sources.files import read_files
from hwr.storage import Folder

NOBODY = "127.0.0.1:9"


def google():
    """Google's store at a place where nobody listens; by its URI it would be tried for a quarter of an hour."""
    again = timedelta(seconds=0.1)
    return pafs.GcsFileSystem(anonymous=True, endpoint_override=NOBODY, scheme="http", retry_time_limit=again)


def azure():
    """Azure's, the same."""
    return pafs.AzureFileSystem(
        "account", account_key="aaaa", blob_storage_authority=NOBODY, blob_storage_scheme="http",
        dfs_storage_authority=NOBODY, dfs_storage_scheme="http",
    )  # fmt: skip


@pytest.mark.parametrize("made", [google, azure])
def test_a_store_that_does_not_answer_is_one_line_and_no_reject(made):
    folder = Folder("cloud://bucket/scans", made(), "bucket/scans")
    with pytest.raises(StorageError, match=r"^cloud://bucket/scans[^\n]*the object store failed \(.*connect to server"):
        list(read_files(folder, ["a.png"]))
