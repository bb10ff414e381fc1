// Modules: package, imports, and what parsers have in common.
#include <algorithm>
#include <array>

#include "policy/syntax/parser_internal.h"

namespace coffer::policy::internal {

Parser::Parser(Module& module, const ParseOptions& options)
    : module_(module),
      options_(options),
      lexer_(*module.source),
      budget_(module.source->text.size() * 64 + 100000) {
  if (options.version == RegoVersion::kV1)
    keywords_.in = keywords_.every = keywords_.if_ = keywords_.contains = true;
  advance();
}

void Parser::advance() {
  if (budget_ == 0) {
    if (token_.kind != TokenKind::kError) error(token_.loc, "too complex: ambiguous nesting");
    token_.kind = TokenKind::kError;
    return;
  }
  --budget_;
  token_ = lexer_.next();
  if (token_.kind == TokenKind::kError) error(token_.loc, token_.text);
}

void Parser::restore(const Saved& saved) {
  if (budget_ == 0) return;
  lexer_ = saved.lexer;
  token_ = saved.token;
  errors_.resize(std::min(errors_.size(), saved.errors));
}

bool Parser::is_reserved(std::string_view word) const {
  static constexpr std::array<std::string_view, 11> kAlways = {
      "as", "default", "else", "false", "import", "not", "null", "package", "some", "true", "with"};
  if (std::find(kAlways.begin(), kAlways.end(), word) != kAlways.end()) return true;
  return (keywords_.in && word == "in") || (keywords_.every && word == "every") ||
         (keywords_.if_ && word == "if") || (keywords_.and_ && word == "and") ||
         (keywords_.or_ && word == "or");
}

void Parser::error(const Location& loc, std::string message, std::string code) {
  // The first error at a place is the cause; what follows from it is noise.
  if (!errors_.empty() && errors_.back().location.offset == loc.offset) return;
  errors_.push_back({std::move(code), loc, std::move(message)});
}

void Parser::error_unexpected(std::string_view want) {
  std::string got;
  switch (token_.kind) {
    case TokenKind::kEnd:
      got = "unexpected end of text";
      break;
    case TokenKind::kError:
      return;
    case TokenKind::kString:
      got = "unexpected string token";
      break;
    case TokenKind::kNumber:
      got = "unexpected number token";
      break;
    default:
      got = "unexpected `" + token_.text + "`";
  }
  error(token_.loc, got + ": " + std::string(want));
}

bool Parser::expect_punct(std::string_view mark, std::string_view doing) {
  if (is_punct(mark)) {
    advance();
    return true;
  }
  error_unexpected("expecting `" + std::string(mark) + "` while " + std::string(doing));
  return false;
}

bool Parser::query() {
  Body* body = body_until("");
  if (body == nullptr || !errors_.empty()) return false;
  Rule* rule = new_rule(body->loc);
  rule->body = body;
  module_.rules.push_back(rule);
  return true;
}

bool Parser::module() {
  if (!package()) return false;
  while (token_.kind != TokenKind::kEnd) {
    if (token_.kind == TokenKind::kError) return false;
    if (is_punct(";")) {
      advance();
      continue;
    }
    const bool ok = is_word("import") ? import() : rule();
    if (!ok) return false;
  }
  module_.version = keywords_.if_ && keywords_.contains && module_.version == RegoVersion::kV1
                        ? RegoVersion::kV1
                        : module_.version;
  return errors_.empty();
}

bool Parser::package() {
  if (!is_word("package")) {
    error_unexpected("package expected");
    return false;
  }
  advance();
  module_.package_loc = token_.loc;
  while (true) {
    if (token_.kind != TokenKind::kIdent) {
      error_unexpected("expecting identifier in package path");
      return false;
    }
    module_.package.push_back(token_.text);
    advance();
    while (is_punct("[") && !token_.space_before) {
      advance();
      if (token_.kind != TokenKind::kString) {
        error_unexpected("expecting string in package path");
        return false;
      }
      module_.package.push_back(token_.text);
      advance();
      if (!expect_punct("]", "parsing package path")) return false;
    }
    if (!is_punct(".") || token_.space_before) return true;
    advance();
  }
}

bool Parser::import() {
  Import out;
  out.loc = token_.loc;
  advance();
  if (token_.kind != TokenKind::kIdent) {
    error_unexpected("expecting identifier after `import`");
    return false;
  }
  Term* root = module_.new_term(TermKind::kVar, token_.loc);
  root->name = token_.text;
  advance();
  out.path = ref_tail(root);
  if (out.path == nullptr) return false;
  std::vector<std::string> path = {root->name};
  if (out.path->kind == TermKind::kRef) {
    for (std::size_t i = 1; i < out.path->items.size(); ++i) {
      const Term* step = out.path->items[i];
      if (step->kind != TermKind::kScalar || !step->scalar.is_string()) {
        error(step->loc, "import path: expected string");
        return false;
      }
      path.emplace_back(step->scalar.as_string());
    }
  } else if (out.path->kind != TermKind::kVar) {
    error(root->loc, "unexpected import path");
    return false;
  }
  static constexpr std::array<std::string_view, 4> kRoots = {"data", "future", "input", "rego"};
  if (std::find(kRoots.begin(), kRoots.end(), path.front()) == kRoots.end()) {
    error(root->loc,
          "unexpected import path, must begin with one of: {data, future, input, rego}, got: " +
              path.front());
    return false;
  }
  out.alias = path.back();
  if (is_word("as")) {
    advance();
    if (token_.kind != TokenKind::kIdent || is_reserved(token_.text)) {
      error_unexpected("expecting identifier as alias");
      return false;
    }
    if (token_.text == "_" || path.front() == "future" || path.front() == "rego") {
      error(token_.loc, token_.text == "_" ? std::string("`_` cannot be used as alias")
                                           : "`" + path.front() + "` imports cannot be aliased");
      return false;
    }
    out.alias = token_.text;
    advance();
  }
  if (token_.kind != TokenKind::kEnd && !token_.newline_before && !is_punct(";") &&
      !is_word("import")) {
    error_unexpected("expecting newline after import");
    return false;
  }
  if (path.front() == "future" || path.front() == "rego") return import_keywords(out, path);
  module_.imports.push_back(out);
  return true;
}

bool Parser::import_keywords(const Import& import, const std::vector<std::string>& path) {
  const bool& other = path.front() == "rego" ? imports_future_ : imports_rego_;
  (path.front() == "rego" ? imports_rego_ : imports_future_) = true;
  if (other && options_.version == RegoVersion::kV0) {
    error(import.loc,
          "the `rego.v1` import implies `future.keywords`, these are therefore mutually exclusive");
    return false;
  }
  const auto all = [this] {
    keywords_.in = keywords_.every = keywords_.if_ = keywords_.contains = true;
  };
  if (path.front() == "rego") {
    if (path.size() != 2 || path[1] != "v1") {
      error(import.loc, "invalid import, must be `rego.v1`");
      return false;
    }
    all();
    module_.version = RegoVersion::kV1;
    return true;
  }
  const bool keywords = path.size() >= 2 && path[1] == "keywords" && path.size() <= 3;
  if (!keywords) {
    error(import.loc, "invalid import, must be `future.keywords`");
    return false;
  }
  if (path.size() == 2) {
    all();
    return true;
  }
  const std::string& word = path[2];
  if (word == "in") {
    keywords_.in = true;
  } else if (word == "every") {
    keywords_.every = keywords_.in = true;
  } else if (word == "if") {
    keywords_.if_ = true;
  } else if (word == "contains") {
    keywords_.contains = true;
  } else if (word == "not") {
    keywords_.not_ = true;
  } else if (options_.experimental_keywords && word == "and") {
    keywords_.and_ = true;
  } else if (options_.experimental_keywords && word == "or") {
    keywords_.or_ = true;
  } else {
    error(import.loc,
          "unexpected keyword, must be one of [contains every if in not]: invalid "
          "future keyword `" +
              word + "`");
    return false;
  }
  return true;
}

}  // namespace coffer::policy::internal

namespace coffer::policy {
namespace {

Result<std::unique_ptr<Module>> parse(std::string name, std::string text,
                                      const ParseOptions& options, bool query) {
  if (text.size() > options.max_bytes)
    return fail(Code::kResourceExhausted, "parse '" + name + "': " + std::to_string(text.size()) +
                                              " bytes, at most " +
                                              std::to_string(options.max_bytes) + " are allowed");
  auto module = std::make_unique<Module>();
  module->version = options.version;
  module->source = std::make_shared<const SourceFile>(SourceFile{std::move(name), std::move(text)});
  internal::Parser parser(*module, options);
  const bool ok = query ? parser.query() : parser.module();
  if (ok && parser.errors().empty()) return module;
  if (parser.errors().empty())
    return fail(Code::kInvalidArgument, module->source->name + ": rego_parse_error: invalid text");
  return fail(diagnostics_error(parser.errors()));
}

}  // namespace

Result<std::unique_ptr<Module>> parse_module(std::string name, std::string text,
                                             const ParseOptions& options) {
  return parse(std::move(name), std::move(text), options, false);
}

Result<std::unique_ptr<Module>> parse_query(std::string name, std::string text,
                                            const ParseOptions& options) {
  return parse(std::move(name), std::move(text), options, true);
}

}  // namespace coffer::policy
