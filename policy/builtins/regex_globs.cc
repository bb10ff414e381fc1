#include "policy/builtins/regex_globs.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

std::string rune_text(char32_t code) {
  std::string out;
  append_rune(out, code);
  return out;
}

constexpr std::size_t kMaxTokens = 4096;
constexpr char32_t kMaxRune = 0x10FFFF;

struct Range {
  char32_t low, high;
};
// One position of a glob: the characters it takes, and how often.
struct Token {
  std::vector<Range> characters;
  bool optional = false;  // "*"
  bool repeated = false;  // "*" or "+"
};
using Glob = std::vector<Token>;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), rest_(text) {}

  Result<Glob> parse() {
    while (!rest_.empty()) {
      if (glob_.size() >= kMaxTokens) return error("the glob is too long");
      COFFER_TRY_VOID(token());
    }
    return std::move(glob_);
  }

 private:
  // `back` runes before the place that was reached. Worded as OPA's library does.
  std::unexpected<Error> error(std::string_view what, std::size_t back = 0) const {
    const std::size_t position = count_runes(text_.substr(0, text_.size() - rest_.size())) - back;
    return fail(Code::kInvalidArgument, fmt::format("input:{}, pos:{}, {}: the input provided is "
                                                    "invalid",
                                                    text_, position, what));
  }

  char32_t take() {
    const Rune rune = decode_rune(rest_);
    rest_.remove_prefix(rune.width);
    return rune.code;
  }

  Status token() {
    const char32_t rune = take();
    if (rune == U'*' || rune == U'+') return flag(rune);
    if (rune == U']') return error("set-close ']' with no preceding '['");
    if (rune == U'[') return character_class();
    if (rune == U'.') {
      glob_.push_back({{{0, kMaxRune}}});
    } else if (rune == U'\\') {
      if (rest_.empty()) return error(R"(input ends with a \\ (escape) character)", 1);
      const char32_t literal = take();
      glob_.push_back({{{literal, literal}}});
    } else {
      glob_.push_back({{{rune, rune}}});
    }
    return {};
  }

  Status flag(char32_t rune) {
    if (glob_.empty() || glob_.back().repeated) {
      return error("flag must be preceded by a non-flag");
    }
    glob_.back().repeated = true;
    glob_.back().optional = rune == U'*';
    return {};
  }

  Status character_class() {
    Token token;
    const bool negated = rest_.starts_with('^');
    if (negated) rest_.remove_prefix(1);
    while (!rest_.starts_with(']')) {
      if (rest_.empty()) return error("found [ without matching ]");
      COFFER_TRY(const char32_t low, class_rune());
      char32_t high = low;
      if (rest_.starts_with('-') && !rest_.starts_with("-]")) {
        rest_.remove_prefix(1);
        if (rest_.empty()) return error("found [ without matching ]");
        COFFER_TRY(high, class_rune());
      }
      if (high < low)
        return error(fmt::format("range is out of order: '{}' comes before '{}' in Unicode",
                                 rune_text(high), rune_text(low)));
      token.characters.push_back({low, high});
    }
    rest_.remove_prefix(1);
    if (token.characters.empty()) return error("empty set");
    if (negated) token.characters = complement(std::move(token.characters));
    glob_.push_back(std::move(token));
    return {};
  }

  Result<char32_t> class_rune() {
    const char32_t rune = take();
    if (rune != U'\\') return rune;
    if (rest_.empty()) return error(R"(input ends with a \\ (escape) character)", 1);
    return take();
  }

  static std::vector<Range> complement(std::vector<Range> ranges) {
    std::ranges::sort(ranges, {}, &Range::low);
    std::vector<Range> out;
    char32_t next = 0;
    for (const Range& range : ranges) {
      if (range.low > next) out.push_back({next, range.low - 1});
      next = std::max(next, static_cast<char32_t>(range.high + 1));
    }
    if (next <= kMaxRune) out.push_back({next, kMaxRune});
    return out;
  }

  std::string_view text_, rest_;
  Glob glob_;
};

bool overlap(const Token& a, const Token& b) {
  return std::ranges::any_of(a.characters, [&](const Range& x) {
    return std::ranges::any_of(b.characters,
                               [&](const Range& y) { return x.low <= y.high && y.low <= x.high; });
  });
}

// A state is a position in a glob; `inside` after at least one character of a repeated token.
struct Position {
  std::size_t index = 0;
  bool inside = false;
  friend auto operator<=>(const Position&, const Position&) = default;
};

bool may_leave(const Glob& glob, Position at) {
  return at.index < glob.size() && (glob[at.index].optional || at.inside);
}

using State = std::pair<Position, Position>;

class Search {
 public:
  Search(const Glob& left, const Glob& right) : left_(left), right_(right) {}

  bool run() {
    push({});
    while (!open_.empty()) {
      const auto [a, b] = open_.back();
      open_.pop_back();
      if (a.index == left_.size() && b.index == right_.size()) return true;
      if (may_leave(left_, a)) push({{a.index + 1, false}, b});
      if (may_leave(right_, b)) push({a, {b.index + 1, false}});
      if (a.index == left_.size() || b.index == right_.size()) continue;
      if (overlap(left_[a.index], right_[b.index])) {
        push({after(left_, a), after(right_, b)});
      }
    }
    return false;
  }

 private:
  static Position after(const Glob& glob, Position at) {
    if (glob[at.index].repeated) return {at.index, true};
    return {at.index + 1, false};
  }
  void push(const State& state) {
    if (seen_.insert(state).second) open_.push_back(state);
  }

  const Glob& left_;
  const Glob& right_;
  std::set<State> seen_;
  std::vector<State> open_;
};

}  // namespace

Result<bool> regex_globs_intersect(std::string_view left, std::string_view right) {
  COFFER_TRY(const Glob a, Parser(left).parse());
  COFFER_TRY(const Glob b, Parser(right).parse());
  constexpr std::size_t kMaxStates = 1'000'000;
  if (a.size() * b.size() > kMaxStates) {
    return fail(Code::kInvalidArgument, "the globs are too long to compare");
  }
  return Search(a, b).run();
}

}  // namespace coffer::policy
