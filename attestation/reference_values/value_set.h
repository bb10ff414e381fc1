// All reference values of a service, in revisions: every change makes a new one, any of the kept
// ones can be compared with another and be brought back. Several servers may share the store.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "attestation/reference_values/reference_value.h"
#include "attestation/store/store.h"

namespace coffer::rv {

using Revision = std::uint64_t;
inline constexpr std::size_t kKeptRevisions = 100;

// One revision, whole. Immutable.
struct Snapshot {
  Revision revision = 0;  // 0: nothing was ever registered
  tee::UnixTime time = 0;
  std::string by;      // the admin's name
  std::string change;  // "set 3", "delete 1", "roll back to 7"
  std::map<std::string, ReferenceValue, std::less<>> values;
};

struct Difference {
  std::vector<std::string> added, removed, changed;  // names
};

struct RevisionInfo {
  Revision revision = 0;
  tee::UnixTime time = 0;
  std::string by, change;
  std::size_t values = 0;
};

// Thread-safe.
class ValueSet {
 public:
  // `store` must outlive it.
  explicit ValueSet(store::Store& store) : store_(store) {}

  // The present revision; read again only when another has been made, here or on another server.
  [[nodiscard]] Result<std::shared_ptr<const Snapshot>> current();
  // kNotFound when there is no such revision any more.
  [[nodiscard]] Result<Snapshot> at(Revision revision);
  // Newest first.
  [[nodiscard]] Result<std::vector<RevisionInfo>> history();

  struct Author {
    std::string name;
    tee::UnixTime time = 0;
  };
  // Each returns the new revision. What `values` names is replaced, the rest stays.
  [[nodiscard]] Result<Revision> set(const std::vector<ReferenceValue>& values,
                                     const Author& author);
  // kNotFound names one that is not there; then nothing is changed.
  [[nodiscard]] Result<Revision> remove(const std::vector<std::string>& names,
                                        const Author& author);
  // They end at `time`, if they did not end before.
  [[nodiscard]] Result<Revision> expire(const std::vector<std::string>& names, tee::UnixTime time,
                                        const Author& author);
  // The values of an earlier revision, as a new one.
  [[nodiscard]] Result<Revision> roll_back(Revision revision, const Author& author);

 private:
  using Change = std::function<Status(Snapshot&)>;
  [[nodiscard]] Result<Revision> change(const Author& author, const Change& change);
  [[nodiscard]] Result<bool> write(const Snapshot& next, std::optional<store::Version> head);

  store::Store& store_;
  std::mutex mutex_;
  // Shared: readers keep it while another revision comes.
  std::shared_ptr<const Snapshot> cached_ = std::make_shared<const Snapshot>();
  store::Version cached_version_ = 0;
};

[[nodiscard]] Difference difference(const Snapshot& from, const Snapshot& to);

}  // namespace coffer::rv
