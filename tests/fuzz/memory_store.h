// A store for fuzz targets: in memory, without conditions or expiry.
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>

#include "attestation/store/store.h"

namespace coffer::fuzz {

class MemoryStore final : public store::Store {
 public:
  Result<std::optional<store::Entry>> get(std::string_view space, std::string_view key) override {
    COFFER_TRY_VOID(store::check_name(space, key));
    const auto at = kept_.find({std::string(space), std::string(key)});
    if (at == kept_.end()) return std::optional<store::Entry>();
    return at->second;
  }
  Result<std::optional<store::Version>> version(std::string_view space,
                                                std::string_view key) override {
    COFFER_TRY(const auto entry, get(space, key));
    return entry ? std::optional(entry->version) : std::nullopt;
  }
  Result<std::vector<store::Listed>> list(std::string_view, std::string_view, std::string_view,
                                          std::size_t) override {
    return std::vector<store::Listed>{};
  }
  Result<bool> commit(std::span<const store::Write> writes, store::Durable) override {
    COFFER_TRY_VOID(store::check_writes(writes));
    for (const auto& write : writes) {
      if (kept_.size() > kMost) break;
      if (write.value) kept_[{write.space, write.key}] = {*write.value, store::new_version()};
    }
    return true;
  }
  Result<std::size_t> purge() override { return 0; }
  Result<std::size_t> count(std::string_view) override { return 0; }
  Result<std::size_t> trim(std::string_view, std::size_t) override { return 0; }
  std::string describe() const override { return "memory"; }

 private:
  static constexpr std::size_t kMost = 1000;
  std::map<std::pair<std::string, std::string>, store::Entry> kept_;
};

}  // namespace coffer::fuzz
