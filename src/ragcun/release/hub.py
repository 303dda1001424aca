"""Upload of a folder to a repository on the hub; files that have not changed are not sent again."""

import re
from pathlib import Path
from typing import Any

from ragcun.console import say
from ragcun.data.hub import endpoint
from ragcun.errors import RagcunError, UserError

RELEASE = "release.json"  # in an experiment: where it was uploaded to

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def check_repository(repo: str | None) -> str:
    """Return the repository as ORG/NAME. Raises `UserError` if `text` does not have this form."""
    if repo is None or not _REPOSITORY.fullmatch(repo):
        raise UserError(f"--repo {repo or ''}: must be ORG/NAME, the repository that the model is uploaded to")
    return repo


def upload(folder: Path, repo: str, private: bool) -> dict[str, Any]:
    """Upload `folder` as one commit to the model repository `repo`, which is created if it is missing.

    The token is huggingface_hub's own (`HF_TOKEN`, or that of `hf auth login`); it is neither printed nor written.

    Returns:
        "repo", "url" and "commit".

    Raises:
        UserError: no token, or one that may not write there.
        RagcunError: the hub does not answer, or refuses for another reason.
    """
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    if constants.is_offline_mode():
        raise UserError(f"{repo}: HF_HUB_OFFLINE is set, so that nothing can be uploaded; unset it")
    if get_token() is None:
        raise UserError(f"{repo}: uploading needs a token; set HF_TOKEN, or run `hf auth login`")
    api = HfApi(endpoint=endpoint())
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Upload model")
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in {401, 403}:
            raise UserError(f"{repo}: {endpoint()} refuses the token ({status}); it must have write access") from None
        raise RagcunError(f"{repo}: {endpoint()} answered {status}; try again later") from None
    except (HTTPError, OSError):
        raise RagcunError(f"{repo}: {endpoint()} cannot be reached; run the same command again") from None
    say(f"uploaded: {endpoint()}/{repo}")
    return {"repo": repo, "url": f"{endpoint()}/{repo}", "commit": commit.oid}
