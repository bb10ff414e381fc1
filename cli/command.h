// What a subcommand of `coffer` is, and the option parser they all use.
//
// Conventions: stdout carries the answer and nothing else; errors go to stderr as
// "coffer: WHAT: WHY (HINT)"; exit 0 as asked, 1 a negative answer, 2 usage or unreadable input.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace coffer::cli {

using Args = std::span<const std::string>;

inline constexpr int kExitOk = 0;
inline constexpr int kExitNegative = 1;
inline constexpr int kExitError = 2;

struct Command {
  std::string_view name;     // "policy eval": one or two words
  std::string_view summary;  // one line, for the list
  std::function<int(Args)> run;
};

// For a terminal: control characters, which whoever wrote a piece of evidence may have put there,
// are written as \x1b. Line feeds and tabs stay.
[[nodiscard]] std::string printable(std::string_view text);

// Prints "coffer: <error>", printable, to stderr and returns kExitError.
int report(const Error& error);

// Declares options and parses them: "--name value", "--name=value", "-n value", "--flag", "--".
class Options {
 public:
  // `usage` is the line after "usage: coffer "; `help` is printed below it and should hold an
  // example.
  Options(std::string_view usage, std::string_view help) : usage_(usage), help_(help) {}

  // `names` is "--long" or "--long,-s". The targets must outlive parse().
  Options& flag(std::string_view names, bool* target, std::string_view text);
  Options& value(std::string_view names, std::string* target, std::string_view text);
  Options& values(std::string_view names, std::vector<std::string>* target, std::string_view text);
  // Everything that is no option. Without it, a positional argument is an error.
  Options& positional(std::vector<std::string>* target);

  // kInvalidArgument on an unknown option (named, with the nearest known one), a missing value, or
  // a single-valued option given twice. On --help prints the help to stdout and sets help_shown().
  [[nodiscard]] Status parse(Args args);
  [[nodiscard]] bool help_shown() const { return help_shown_; }

 private:
  struct Option {
    std::string long_name, short_name, text;
    bool* flag = nullptr;
    std::string* value = nullptr;
    std::vector<std::string>* values = nullptr;
    bool seen = false;
  };
  Options& add(std::string_view names, std::string_view text, Option option);
  [[nodiscard]] Option* find(std::string_view name);
  [[nodiscard]] Status parse_option(std::string_view arg, Args& rest);
  [[nodiscard]] Status store(Option& option, std::string_view name, std::string value);
  [[nodiscard]] Error unknown(std::string_view name) const;
  void print_help() const;

  std::string usage_, help_;
  std::vector<Option> options_;
  std::vector<std::string>* positional_ = nullptr;
  bool help_shown_ = false;
};

// An option's value: decimal, or hexadecimal after "0x". kInvalidArgument names the option.
[[nodiscard]] Result<std::uint64_t> to_number(std::string_view option, std::string_view text);

// Runs the command that `args` (without the program's name) asks for; "", "--help" and "--version"
// are handled here.
int dispatch(std::span<const Command> commands, Args args);

}  // namespace coffer::cli
