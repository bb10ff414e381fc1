#include "rpc/ttrpc/call.h"

namespace coffer::rpc {

std::string Payload::str() && {
  if (offset_ == 0 && size_ == storage_.size()) return std::move(storage_);
  return std::string(view());
}

std::optional<std::string_view> find_metadata(const Metadata& metadata, std::string_view key) {
  for (const auto& [name, value] : metadata) {
    if (name == key) return value;
  }
  return std::nullopt;
}

}  // namespace coffer::rpc
