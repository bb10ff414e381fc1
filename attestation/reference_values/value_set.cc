#include "attestation/reference_values/value_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace coffer::rv {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSpace = "reference_value";
constexpr std::string_view kHead = "head";
constexpr std::string_view kPrefix = "revision/";
// Two admins at once: the second starts from the first one's revision.
constexpr int kAttempts = 20;

std::string key_of(Revision revision) { return fmt::format("{}{:012}", kPrefix, revision); }

std::string save(const Snapshot& snapshot) {
  Json values = Json::array();
  for (const auto& [name, value] : snapshot.values) values.push_back(to_json(value));
  return Json{{"revision", snapshot.revision},
              {"time", tee::format_rfc3339(snapshot.time)},
              {"by", snapshot.by},
              {"change", snapshot.change},
              {"values", std::move(values)}}
      .dump();
}

Result<Snapshot> load(BytesView bytes) {
  COFFER_TRY(const Json json, parse_json(as_text(bytes), "the stored reference values"));
  const auto corrupt = fail(Code::kDataLoss, "read the stored reference values: not as written");
  if (!json.is_object() || !json.contains("values")) return corrupt;
  for (const char* key : {"time", "by", "change"}) {
    if (!json.contains(key) || !json[key].is_string()) return corrupt;
  }
  if (!json.contains("revision") || !json["revision"].is_number_unsigned()) return corrupt;
  Snapshot out;
  out.revision = json["revision"].get<Revision>();
  out.by = json["by"].get<std::string>();
  out.change = json["change"].get<std::string>();
  COFFER_TRY(out.time, tee::parse_rfc3339(json["time"].get<std::string>()));
  for (const Json& entry : json["values"]) {
    COFFER_TRY(auto value, from_json(entry));
    out.values.insert_or_assign(value.name, std::move(value));
  }
  return out;
}

Result<Revision> parse_revision(BytesView bytes) {
  const std::string_view text = as_text(bytes);
  Revision revision = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Code::kDataLoss, "read the stored reference values: the head is no number");
  }
  return revision;
}

Result<ReferenceValue*> find(Snapshot& snapshot, const std::string& name) {
  const auto at = snapshot.values.find(name);
  if (at != snapshot.values.end()) return &at->second;
  return fail(Code::kNotFound, fmt::format("find reference value '{}': there is none", name));
}

}  // namespace

Result<std::shared_ptr<const Snapshot>> ValueSet::current() {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    COFFER_TRY(const auto head, store_.get(kSpace, kHead));
    if (!head) return std::make_shared<const Snapshot>();
    {
      const std::lock_guard lock(mutex_);
      if (head->version == cached_version_) return cached_;
    }
    COFFER_TRY(const Revision revision, parse_revision(head->value));
    COFFER_TRY(const auto stored, store_.get(kSpace, key_of(revision)));
    if (!stored) continue;  // it was outlived by kKeptRevisions others meanwhile
    COFFER_TRY(Snapshot loaded, load(stored->value));
    auto snapshot = std::make_shared<const Snapshot>(std::move(loaded));
    const std::lock_guard lock(mutex_);
    cached_ = snapshot;
    cached_version_ = head->version;
    return snapshot;
  }
  return fail(Code::kDataLoss, "read the reference values: the present revision is not stored");
}

Result<Snapshot> ValueSet::at(Revision revision) {
  COFFER_TRY(const auto stored, store_.get(kSpace, key_of(revision)));
  if (stored) return load(stored->value);
  return fail(Code::kNotFound, fmt::format("find revision {} of the reference values: not kept "
                                           "(the last {} are)",
                                           revision, kKeptRevisions));
}

Result<std::vector<RevisionInfo>> ValueSet::history() {
  COFFER_TRY(auto listed, store_.list(kSpace, kPrefix, "", kKeptRevisions + kAttempts));
  std::vector<RevisionInfo> out;
  for (const auto& item : listed) {
    COFFER_TRY(const auto stored, store_.get(kSpace, item.key));
    if (!stored) continue;
    COFFER_TRY(const Snapshot snapshot, load(stored->value));
    out.push_back({.revision = snapshot.revision,
                   .time = snapshot.time,
                   .by = snapshot.by,
                   .change = snapshot.change,
                   .values = snapshot.values.size()});
  }
  std::ranges::reverse(out);
  return out;
}

Result<bool> ValueSet::write(const Snapshot& next, std::optional<store::Version> head) {
  store::Write snapshot{
      .space = std::string(kSpace), .key = key_of(next.revision), .value = to_bytes(save(next))};
  store::Write pointer{.space = std::string(kSpace),
                       .key = std::string(kHead),
                       .value = to_bytes(std::to_string(next.revision))};
  pointer.condition = head ? store::Write::If::kVersion : store::Write::If::kAbsent;
  pointer.version = head.value_or(0);
  std::vector<store::Write> writes = {std::move(pointer), std::move(snapshot)};
  if (next.revision > kKeptRevisions) {
    writes.push_back({.space = std::string(kSpace), .key = key_of(next.revision - kKeptRevisions)});
  }
  return store_.commit(writes, store::Durable::kYes);
}

Result<Revision> ValueSet::change(const Author& author, const Change& change) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    COFFER_TRY(const auto head, store_.get(kSpace, kHead));
    Snapshot next;
    if (head) {
      COFFER_TRY(const Revision revision, parse_revision(head->value));
      auto present = at(revision);
      if (!present && present.error().code() == Code::kNotFound) continue;
      if (!present) return fail(std::move(present).error());
      next = *std::move(present);
    }
    ++next.revision;
    next.by = author.name;
    next.time = author.time;
    COFFER_TRY_VOID(change(next));
    COFFER_TRY(const bool written, write(next, head ? std::optional(head->version) : std::nullopt));
    if (written) return next.revision;
  }
  return fail(Code::kUnavailable,
              "change the reference values: others change them at the same time; try again");
}

Result<Revision> ValueSet::set(const std::vector<ReferenceValue>& values, const Author& author) {
  return change(author, [&](Snapshot& next) -> Status {
    next.change = fmt::format("set {}", values.size());
    for (const auto& value : values) next.values.insert_or_assign(value.name, value);
    return {};
  });
}

Result<Revision> ValueSet::remove(const std::vector<std::string>& names, const Author& author) {
  return change(author, [&](Snapshot& next) -> Status {
    next.change = fmt::format("delete {}", names.size());
    for (const auto& name : names) {
      COFFER_TRY([[maybe_unused]] const ReferenceValue* const present, find(next, name));
      next.values.erase(name);
    }
    return {};
  });
}

Result<Revision> ValueSet::expire(const std::vector<std::string>& names, tee::UnixTime time,
                                  const Author& author) {
  return change(author, [&](Snapshot& next) -> Status {
    next.change = fmt::format("expire {}", names.size());
    for (const auto& name : names) {
      COFFER_TRY(ReferenceValue* const value, find(next, name));
      value->expires = std::min(value->expires, time);
    }
    return {};
  });
}

Result<Revision> ValueSet::roll_back(Revision revision, const Author& author) {
  COFFER_TRY(const Snapshot old, at(revision));
  return change(author, [&](Snapshot& next) -> Status {
    next.change = fmt::format("roll back to {}", revision);
    next.values = old.values;
    return {};
  });
}

Difference difference(const Snapshot& from, const Snapshot& to) {
  Difference out;
  for (const auto& [name, value] : to.values) {
    const auto before = from.values.find(name);
    if (before == from.values.end()) {
      out.added.push_back(name);
    } else if (before->second.value != value.value ||
               before->second.not_before != value.not_before ||
               before->second.expires != value.expires) {
      out.changed.push_back(name);
    }
  }
  for (const auto& [name, value] : from.values) {
    if (!to.values.contains(name)) out.removed.push_back(name);
  }
  return out;
}

}  // namespace coffer::rv
