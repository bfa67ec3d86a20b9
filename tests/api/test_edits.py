"""Edits through HTTP, on both stores."""

from __future__ import annotations


def test_an_edit_is_seen_at_once_with_its_history(place):
    ann, bob = place.person("ann"), place.person("bob")
    status = ann.post("First #one", spoiler_text="careful")
    path = f"/api/v1/statuses/{status['id']}"
    assert place.visitor.get(path).json()["edited_at"] is None
    assert place.visitor.get(f"/@{ann.username}/{status['id']}").status_code == 200
    edited = ann.http.put(path, json={"status": f"Second #two @{bob.username}", "language": "de"}).json()
    assert (edited["id"], edited["created_at"], edited["spoiler_text"]) == (
        status["id"],
        status["created_at"],
        "",
    )
    assert edited["edited_at"] > status["created_at"]
    assert [tag["name"] for tag in edited["tags"]] == ["two"]
    for reader in (place.visitor, bob.http):
        assert reader.get(path).json()["content"] == edited["content"]
    assert "Second" in place.visitor.get(f"/@{ann.username}/{status['id']}").text
    assert [one["status"]["id"] for one in bob.get("/api/v1/notifications")] == [status["id"]]
    history = place.visitor.get(f"{path}/history").json()
    assert [(one["spoiler_text"], "poll" in one) for one in history] == [("careful", False), ("", False)]
    assert history[0]["created_at"] == status["created_at"]
    assert history[1]["created_at"] == edited["edited_at"]
    assert history[1]["content"] == edited["content"]
    assert history[0]["account"]["id"] == str(ann.id)
    assert ann.get(f"{path}/source")["text"] == f"Second #two @{bob.username}"
    assert bob.http.put(path, json={"status": "mine"}).status_code == 403
    assert place.visitor.put(path, json={"status": "mine"}).status_code == 401
    assert ann.http.put(path, json={"status": ""}).status_code == 422
    assert ann.http.put(path, json={"status": "x", "media_ids": ["5"]}).status_code == 422
    assert len(place.visitor.get(f"{path}/history").json()) == 2


def test_an_edit_of_a_post_for_few_is_for_few(place):
    ann, bob = place.person("ann"), place.person("bob")
    status = ann.post("secret", visibility="direct")
    path = f"/api/v1/statuses/{status['id']}"
    edited = ann.http.put(path, json={"status": "another secret", "visibility": "public"}).json()
    assert edited["visibility"] == "direct"
    for read in (path, f"{path}/history", f"{path}/source"):
        assert bob.http.get(read).status_code == 404
    assert bob.http.put(path, json={"status": "x"}).status_code == 404
