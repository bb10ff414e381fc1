// JSON text without a tree: for what is written as soon as it is put together.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace coffer {

// Compact, strings as dump_json writes them, in the order of the calls. Commas are its matter; that
// brackets match, that members have names, and that no name stands twice is the caller's.
class JsonWriter {
 public:
  explicit JsonWriter(std::size_t expected_bytes = 0) { out_.reserve(expected_bytes); }

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& text(std::string_view value);
  JsonWriter& boolean(bool value);
  JsonWriter& integer(std::int64_t value);
  // A value that is JSON text already: not looked at.
  JsonWriter& json(std::string_view written);
  JsonWriter& tree(const nlohmann::json& value);

  // What was written; the writer is empty then.
  [[nodiscard]] std::string take();

 private:
  void separate();
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);

  std::string out_;
  bool comma_ = false;
};

}  // namespace coffer
