#include "base/json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace coffer {
namespace {

// Watches a parse from the side: depth and doubled keys end it early.
class Guard {
 public:
  explicit Guard(const JsonLimits& limits) : limits_(limits) {}

  bool event(int depth, nlohmann::json::parse_event_t event, const nlohmann::json& parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (!fault_.empty()) return false;
    if (event == Event::object_start || event == Event::array_start) {
      if (static_cast<std::size_t>(depth) >= limits_.max_depth) {
        fault_ = fmt::format("nested deeper than {} levels", limits_.max_depth);
        return false;
      }
      keys_.emplace_back();
    } else if (event == Event::object_end || event == Event::array_end) {
      keys_.pop_back();
    } else if (event == Event::key && limits_.refuse_duplicate_keys) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys_.back().insert(key).second) fault_ = fmt::format("key '{}' stands twice", key);
    }
    return true;
  }
  [[nodiscard]] const std::string& fault() const { return fault_; }

 private:
  const JsonLimits& limits_;
  std::vector<std::set<std::string>> keys_;
  std::string fault_;
};

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, std::string_view what,
                                  const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(Code::kResourceExhausted, fmt::format("parse {}: {} bytes, the limit is {}", what,
                                                      text.size(), limits.max_bytes));
  }
  Guard guard(limits);
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    return guard.event(depth, event, parsed);
  };
  try {
    auto value = nlohmann::json::parse(text, watch, /*allow_exceptions=*/true);
    if (!guard.fault().empty()) {
      return fail(Code::kInvalidArgument, fmt::format("parse {}: {}", what, guard.fault()));
    }
    return value;
  } catch (const nlohmann::json::exception& error) {
    return fail(Code::kInvalidArgument, fmt::format("parse {}: {}", what, error.what()));
  }
}

}  // namespace coffer
