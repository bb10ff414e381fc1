// Compiled patterns by text. Patterns repeat across the requests of a pod, and compiling one costs
// a hundred times what matching does.
#include <re2/re2.h>

#include <unordered_map>

#include "policy/builtins/registry.h"

namespace coffer::policy {

struct BuiltinContext::RegexCache::Impl {
  // Bounded by dropping everything: simple, and the working set of a policy is far smaller.
  static constexpr std::size_t kMaxPatterns = 2048;
  struct Compiled {
    std::unique_ptr<re2::RE2> regex;
    std::string error;
  };
  std::unordered_map<Value, Compiled, ValueHash> patterns;
};

BuiltinContext::RegexCache::RegexCache() : impl_(std::make_unique<Impl>()) {}
BuiltinContext::RegexCache::~RegexCache() = default;

const re2::RE2* BuiltinContext::RegexCache::get(const Value& pattern, std::string& error) {
  auto found = impl_->patterns.find(pattern);
  if (found == impl_->patterns.end()) {
    if (impl_->patterns.size() >= Impl::kMaxPatterns) impl_->patterns.clear();
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(std::int64_t{8} << 20U);
    const std::string_view text = pattern.as_string();
    Impl::Compiled compiled;
    compiled.regex =
        std::make_unique<re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
    if (!compiled.regex->ok()) {
      compiled.error = compiled.regex->error();
      compiled.regex.reset();
    }
    found = impl_->patterns.emplace(pattern, std::move(compiled)).first;
  }
  error = found->second.error;
  return found->second.regex.get();
}

}  // namespace coffer::policy
