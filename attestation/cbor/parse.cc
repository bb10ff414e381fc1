#include <cbor.h>
#include <fmt/format.h>

#include <set>

#include "attestation/cbor/value.h"
#include "base/utf8.h"

namespace coffer::cbor {
namespace {

constexpr std::uint8_t kShortTag = 0xc0, kShortTags = 24;

// One head, with a string's content: what one step of libcbor's decoder gives.
struct Token {
  Kind kind = Kind::kNull;
  std::uint64_t number = 0;  // of an array or map the count
  BytesView content = {};
  bool refused = false;
};

Token& of(void* context) { return *static_cast<Token*>(context); }

template <typename Number>
void set_unsigned(void* context, Number value) {
  of(context) = {.kind = Kind::kUnsigned, .number = value};
}
template <typename Number>
void set_negative(void* context, Number value) {
  of(context) = {.kind = Kind::kNegative, .number = value};
}
void refuse_token(void* context) { of(context).refused = true; }
template <typename Number>
void refuse_number(void* context, Number /*value*/) {
  of(context).refused = true;
}

const cbor_callbacks& callbacks() {
  static const cbor_callbacks kCallbacks = [] {
    cbor_callbacks c = cbor_empty_callbacks;
    c.uint8 = set_unsigned<std::uint8_t>;
    c.uint16 = set_unsigned<std::uint16_t>;
    c.uint32 = set_unsigned<std::uint32_t>;
    c.uint64 = set_unsigned<std::uint64_t>;
    c.negint8 = set_negative<std::uint8_t>;
    c.negint16 = set_negative<std::uint16_t>;
    c.negint32 = set_negative<std::uint32_t>;
    c.negint64 = set_negative<std::uint64_t>;
    c.byte_string = [](void* context, cbor_data data, std::size_t size) {
      of(context) = {.kind = Kind::kBytes, .content = {data, size}};
    };
    c.string = [](void* context, cbor_data data, std::size_t size) {
      of(context) = {.kind = Kind::kText, .content = {data, size}};
    };
    c.array_start = [](void* context, std::size_t count) {
      of(context) = {.kind = Kind::kArray, .number = count};
    };
    c.map_start = [](void* context, std::size_t count) {
      of(context) = {.kind = Kind::kMap, .number = count};
    };
    c.tag = [](void* context, std::uint64_t number) {
      of(context) = {.kind = Kind::kTag, .number = number};
    };
    c.null = [](void* context) { of(context) = {.kind = Kind::kNull}; };
    c.boolean = [](void* context, bool value) {
      of(context) = {.kind = Kind::kBool, .number = value ? 1U : 0U};
    };
    c.byte_string_start = c.string_start = refuse_token;
    c.indef_array_start = c.indef_map_start = c.indef_break = c.undefined = refuse_token;
    c.float2 = c.float4 = refuse_number<float>;
    c.float8 = refuse_number<double>;
    return c;
  }();
  return kCallbacks;
}

class Parser {
 public:
  Parser(BytesView bytes, std::string_view what, const Limits& limits)
      : bytes_(bytes), what_(what), limits_(limits) {}

  Result<Value> whole() {
    COFFER_TRY(Value value, one(0));
    if (at_ != bytes_.size()) return refuse("bytes follow the value");
    return value;
  }

 private:
  std::unexpected<Error> refuse(std::string_view why) const {
    return fail(Code::kInvalidArgument, fmt::format("read {}, byte {}: {}", what_, at_, why));
  }
  std::unexpected<Error> too_much(std::string_view of, std::size_t limit) const {
    return fail(Code::kResourceExhausted,
                fmt::format("read {}, byte {}: more than {} {}", what_, at_, limit, of));
  }

  Result<Token> next() {
    Token token;
    const BytesView rest = bytes_.subspan(at_);
    // A tag in one byte. libcbor 0.8 knows only some of those: not COSE_Sign1's, 18.
    if (!rest.empty() && rest[0] >= kShortTag && rest[0] < kShortTag + kShortTags) {
      ++at_;
      token.kind = Kind::kTag;
      token.number = static_cast<std::uint64_t>(rest[0] - kShortTag);
      return token;
    }
    const auto step = cbor_stream_decode(rest.data(), rest.size(), &callbacks(), &token);
    if (step.status == CBOR_DECODER_NEDATA) return refuse("it ends in the middle of a value");
    if (step.status != CBOR_DECODER_FINISHED) return refuse("no CBOR");
    if (token.refused) {
      return refuse(
          "an indefinite length, a floating-point number or a simple value: not used here");
    }
    at_ += step.read;
    return token;
  }

  Result<Value> one(std::size_t depth) {
    if (depth == limits_.max_depth) return too_much("levels", limits_.max_depth);
    if (++seen_ > limits_.max_items) return too_much("values", limits_.max_items);
    COFFER_TRY(const Token token, next());
    Value value{.kind = token.kind, .number = token.number, .bytes = {}, .items = {}};
    switch (token.kind) {
      case Kind::kText:
        if (!is_utf8(as_text(token.content))) return refuse("a text that is no UTF-8");
        [[fallthrough]];
      case Kind::kBytes:
        value.bytes.assign(token.content.begin(), token.content.end());
        break;
      case Kind::kTag:
        COFFER_TRY_VOID(read_items(value, 1, depth));
        break;
      case Kind::kArray:
        COFFER_TRY_VOID(read_items(value, token.number, depth));
        value.number = 0;
        break;
      case Kind::kMap:
        // Each takes a byte at least: no count that could overflow passes.
        if (token.number > bytes_.size()) return refuse("it ends in the middle of a map");
        COFFER_TRY_VOID(read_items(value, 2 * token.number, depth));
        value.number = 0;
        COFFER_TRY_VOID(check_keys(value));
        break;
      default:
        break;
    }
    return value;
  }

  // A count is only believed as far as there are bytes.
  Status read_items(Value& into, std::uint64_t count, std::size_t depth) {
    if (count > bytes_.size() - at_) return refuse("it ends in the middle of a value");
    for (std::uint64_t i = 0; i < count; ++i) {
      COFFER_TRY(Value item, one(depth + 1));
      into.items.push_back(std::move(item));
    }
    return {};
  }

  Status check_keys(const Value& map) const {
    std::set<std::pair<std::uint64_t, std::string_view>> seen[2];
    for (std::size_t i = 0; i < map.items.size(); i += 2) {
      const Value& key = map.items[i];
      const bool number = key.is(Kind::kUnsigned) || key.is(Kind::kNegative);
      if (!number && !key.is(Kind::kText)) return refuse("a key is neither an integer nor a text");
      auto& kind = seen[key.is(Kind::kNegative) ? 1 : 0];
      // A text's number is zero, and an integer's text is empty: the mark keeps "" and 0 apart.
      const std::string_view name = number ? std::string_view("\xff") : key.text();
      if (!kind.emplace(key.number, name).second) return refuse("a key stands twice");
    }
    return {};
  }

  BytesView bytes_;
  std::string_view what_;
  const Limits& limits_;
  std::size_t at_ = 0, seen_ = 0;
};

}  // namespace

std::string_view kind_name(Kind kind) {
  constexpr std::string_view kNames[] = {"an unsigned number",
                                         "a negative number",
                                         "bytes",
                                         "a text",
                                         "an array",
                                         "a map",
                                         "a tag",
                                         "a boolean",
                                         "null"};
  return kNames[static_cast<std::size_t>(kind)];
}

const Value* Value::find(std::uint64_t key) const {
  if (kind != Kind::kMap) return nullptr;
  for (std::size_t i = 0; i < items.size(); i += 2) {
    if (items[i].is(Kind::kUnsigned) && items[i].number == key) return &items[i + 1];
  }
  return nullptr;
}

Result<Value> parse(BytesView bytes, std::string_view what, const Limits& limits) {
  if (bytes.size() > limits.max_bytes) {
    return fail(Code::kResourceExhausted, fmt::format("read {}: {} bytes, at most {} are allowed",
                                                      what, bytes.size(), limits.max_bytes));
  }
  return Parser(bytes, what, limits).whole();
}

}  // namespace coffer::cbor
