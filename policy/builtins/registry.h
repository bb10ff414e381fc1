// The builtin functions: what each is called, what it takes, and the function that does it.
//
// A family is one .cc file with a table of `Builtin`s; registry.cc joins the tables. The names of
// those that reach outside the guest are known too, so that the compiler can refuse them by name.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "policy/value/value.h"

namespace re2 {
class RE2;
}

namespace coffer::policy {

// What the functions that a program adds of its own (EngineOptions::host_functions) reach through
// their context: derive from it.
class BuiltinHost {
 public:
  virtual ~BuiltinHost() = default;
};

// What builtins may ask of their surroundings. One per query; the caches live as long as the
// policy.
class BuiltinContext {
 public:
  // Compiled patterns, kept across queries, bounded in number.
  class RegexCache {
   public:
    RegexCache();
    ~RegexCache();
    RegexCache(const RegexCache&) = delete;
    RegexCache& operator=(const RegexCache&) = delete;
    // nullptr when the pattern does not compile; `error` then says why. The pointer stays valid
    // until the next call.
    [[nodiscard]] const re2::RE2* get(const Value& pattern, std::string& error);

   private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  RegexCache* regex = nullptr;
  // Nanoseconds since the epoch, read once per query.
  std::function<std::int64_t()> now_ns;
  // Fills with random bytes.
  std::function<void(std::span<std::uint8_t>)> random;
  // Largest string or collection, in bytes or elements, a builtin may make.
  std::size_t max_result = std::size_t{64} << 20U;

  // Set before an evaluation whose policy has host functions; null otherwise.
  BuiltinHost* host = nullptr;

  // Seed that stays the same within a query (rand.intn, uuid.rfc4122 are stable per argument; the
  // evaluator memoises nondeterministic builtins by name and arguments).

  // kResourceExhausted when `size` is past max_result. Ask before building something big.
  [[nodiscard]] Status check_size(std::size_t size, std::string_view what) const;
};

// A result of undefined (Value()) means the call is undefined. Errors:
//   type_error(...)     eval_type_error,    undefined unless strict
//   builtin_error(...)  eval_builtin_error, undefined unless strict
//   kResourceExhausted, kDeadlineExceeded, kCancelled: always stop the query.
// Arguments are defined, of the declared number, and of any type: check left to right.
using BuiltinFunction = Result<Value> (*)(BuiltinContext& context, std::span<const Value> args);

enum BuiltinFlags : std::uint8_t {
  kPure = 0,
  kNondeterministic = 1,  // memoised per query, never folded at compile time
  kRelation = 2,          // the result is an array of solutions, each unified in turn (walk)
  kDeprecated = 4,        // refused in v1 modules
  kRefused = 8,           // a compile error that says why
};

struct Builtin {
  std::string_view name;
  std::uint8_t arity;
  BuiltinFunction function;  // nullptr with kRefused
  std::uint8_t flags = kPure;
  std::string_view infix = {};
  std::string_view refusal = {};  // with kRefused: why
};

// nullptr when there is none of this name.
[[nodiscard]] const Builtin* find_builtin(std::string_view name);
[[nodiscard]] std::span<const Builtin* const> all_builtins();

// The tables, one per family; each lives in its own file.
[[nodiscard]] std::span<const Builtin> operator_builtins();
[[nodiscard]] std::span<const Builtin> aggregate_builtins();
[[nodiscard]] std::span<const Builtin> type_builtins();
[[nodiscard]] std::span<const Builtin> array_builtins();
[[nodiscard]] std::span<const Builtin> set_builtins();
[[nodiscard]] std::span<const Builtin> object_builtins();
[[nodiscard]] std::span<const Builtin> string_builtins();

// "operand 1 must be string but got number", positions count from 1. The evaluator puts the
// builtin's name and the location in front.
[[nodiscard]] std::unexpected<Error> type_error(std::string message);
[[nodiscard]] std::unexpected<Error> builtin_error(std::string message);
[[nodiscard]] std::unexpected<Error> operand_error(std::size_t position, std::string_view want,
                                                   const Value& got);
// "operand 1 must be one of {array, object} but got null".
[[nodiscard]] std::unexpected<Error> operand_error_one_of(std::size_t position,
                                                          std::string_view want_list,
                                                          const Value& got);
// Operand `position` (from 1) as each type, or the type error.
[[nodiscard]] Result<std::string_view> string_operand(std::span<const Value> args,
                                                      std::size_t position);
// Integral numbers in 64 bits; "must be integer number but got floating-point number".
[[nodiscard]] Result<std::int64_t> int_operand(std::span<const Value> args, std::size_t position);
[[nodiscard]] Status require_type(std::span<const Value> args, std::size_t position, Type type);

}  // namespace coffer::policy
