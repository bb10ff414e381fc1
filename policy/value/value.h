// A Rego value: immutable, 16 bytes, copied by counting references.
//
// Small integers, booleans and null live inside the Value; strings, other numbers and composites
// are shared, immutable heap objects. Counts are not atomic: a Value, and everything that shares
// structure with it, belongs to one thread at a time.
//
// Composites know their depth, so that the recursion of compare, hash, print and destruction is
// bounded: whoever builds a value from input or in a policy checks depth() against a limit
// (kMaxDepth) before keeping it.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace coffer::policy {

// In OPA's sort order; kUndefined is "no value" and never stands inside a composite.
enum class Type : std::uint8_t {
  kUndefined,
  kNull,
  kBoolean,
  kNumber,
  kString,
  kArray,
  kObject,
  kSet
};
// "null", "boolean", "number", "string", "array", "object", "set" as type_name() says them.
[[nodiscard]] std::string_view type_name(Type type);

// The deepest composite the engine keeps.
inline constexpr std::uint32_t kMaxDepth = 1024;

class Value;
struct Entry;

namespace detail {
struct Rep {
  std::uint32_t refs;
};
// Values that only the evaluator sees: a place in the tree of rules.
struct OpaqueRep : Rep {
  explicit OpaqueRep() : Rep{1} {}
  OpaqueRep(const OpaqueRep&) = delete;
  OpaqueRep& operator=(const OpaqueRep&) = delete;
  virtual ~OpaqueRep() = default;
};
struct StringRep : Rep {
  std::uint32_t size;
  mutable std::uint64_t hash;  // 0: not yet computed
  // The text stands right behind the head (Value::string allocates both).
  [[nodiscard]] const char* data() const {
    return static_cast<const char*>(static_cast<const void*>(this + 1));
  }
  [[nodiscard]] std::string_view view() const { return {data(), size}; }
};
struct NumberRep : Rep {
  std::string text;    // the literal, as JSON writes it
  double approximate;  // nearest double, infinite when out of range
};
struct CompositeRep : Rep {
  std::uint32_t depth;
  std::uint32_t size;
  mutable std::uint64_t hash;            // 0: not yet computed
  mutable std::uint32_t* index;          // lazily built hash index of sets and objects
  [[nodiscard]] Value* items() const;    // arrays and sets
  [[nodiscard]] Entry* entries() const;  // objects
};
[[nodiscard]] std::uint64_t hash_bytes(std::string_view text);
}  // namespace detail

class Value {
 public:
  // Undefined.
  Value() = default;
  Value(const Value& other) : tag_(other.tag_), bits_(other.bits_) { retain(); }
  Value(Value&& other) noexcept
      : tag_(std::exchange(other.tag_, Tag::kUndefined)), bits_(other.bits_) {}
  Value& operator=(const Value& other) {
    other.retain();
    release();
    tag_ = other.tag_;
    bits_ = other.bits_;
    return *this;
  }
  Value& operator=(Value&& other) noexcept {
    if (this != &other) {
      release();
      tag_ = std::exchange(other.tag_, Tag::kUndefined);
      bits_ = other.bits_;
    }
    return *this;
  }
  ~Value() { release(); }

  [[nodiscard]] static Value undefined() { return {}; }
  [[nodiscard]] static Value null() { return Value(Tag::kNull, 0); }
  [[nodiscard]] static Value boolean(bool b) { return Value(Tag::kBoolean, b ? 1 : 0); }
  [[nodiscard]] static Value integer(std::int64_t n) { return Value(Tag::kInt, n); }
  // Bytes, expected to be UTF-8; at most 4 GiB, longer ones are cut (limits come long before).
  [[nodiscard]] static Value string(std::string_view text);
  // `text` is a JSON number; a canonical 64-bit integer becomes an inline integer, anything else
  // keeps its text. Not checked: use parse_number (number.h) for foreign text.
  [[nodiscard]] static Value number_from_literal(std::string_view text);
  [[nodiscard]] static Value empty_array();
  [[nodiscard]] static Value empty_object();
  [[nodiscard]] static Value empty_set();
  [[nodiscard]] static Value array(std::vector<Value> items);
  // Sorts and removes duplicates.
  [[nodiscard]] static Value set(std::vector<Value> items);
  // Sorts; of entries with equal keys the last one stays.
  [[nodiscard]] static Value object(std::vector<Entry> entries);
  // The same three from scratch space: the elements are moved from.
  [[nodiscard]] static Value array_from(std::span<Value> items);
  [[nodiscard]] static Value set_from(std::span<Value> items);
  [[nodiscard]] static Value object_from(std::span<Entry> entries);

  [[nodiscard]] Type type() const {
    static constexpr Type kTypes[] = {
        Type::kUndefined, Type::kNull,  Type::kBoolean, Type::kNumber, Type::kNumber,
        Type::kString,    Type::kArray, Type::kObject,  Type::kSet,    Type::kUndefined};
    return kTypes[static_cast<std::uint8_t>(tag_)];
  }
  [[nodiscard]] bool is_undefined() const { return tag_ == Tag::kUndefined; }
  [[nodiscard]] bool defined() const { return tag_ != Tag::kUndefined; }
  [[nodiscard]] bool is_null() const { return tag_ == Tag::kNull; }
  [[nodiscard]] bool is_boolean() const { return tag_ == Tag::kBoolean; }
  [[nodiscard]] bool is_true() const { return tag_ == Tag::kBoolean && bits_.integer == 1; }
  [[nodiscard]] bool is_false() const { return tag_ == Tag::kBoolean && bits_.integer == 0; }
  [[nodiscard]] bool is_number() const { return tag_ == Tag::kInt || tag_ == Tag::kBigNumber; }
  // An integer held inline. Other numbers may be integral too: see number.h.
  [[nodiscard]] bool is_small_int() const { return tag_ == Tag::kInt; }
  [[nodiscard]] bool is_string() const { return tag_ == Tag::kString; }
  [[nodiscard]] bool is_array() const { return tag_ == Tag::kArray; }
  [[nodiscard]] bool is_object() const { return tag_ == Tag::kObject; }
  [[nodiscard]] bool is_set() const { return tag_ == Tag::kSet; }
  [[nodiscard]] bool is_composite() const { return tag_ >= Tag::kArray && tag_ <= Tag::kSet; }

  // Each accessor below requires the type it names (a check aborts otherwise).
  [[nodiscard]] bool as_bool() const;
  [[nodiscard]] std::int64_t small_int() const { return bits_.integer; }
  // The view lives as long as this value or a copy of it.
  [[nodiscard]] std::string_view as_string() const;
  // Elements of an array in order, of a set sorted.
  [[nodiscard]] std::span<const Value> items() const;
  // Entries of an object, sorted by key.
  [[nodiscard]] std::span<const Entry> entries() const;
  // The literal of any number.
  [[nodiscard]] std::string number_text() const;

  // Elements of a composite, 0 for others.
  [[nodiscard]] std::size_t size() const { return is_composite() ? composite()->size : 0; }
  // 0 for scalars, 1 + the deepest element for composites.
  [[nodiscard]] std::uint32_t depth() const { return is_composite() ? composite()->depth : 0; }

  // Value of a key of an object; nullptr when absent or when this is no object.
  [[nodiscard]] const Value* find(const Value& key) const;
  [[nodiscard]] const Value* find(std::string_view key) const;
  // Position of a key or element in entries()/items() of an object or set.
  [[nodiscard]] std::optional<std::uint32_t> position(const Value& key) const;
  // Membership in a set.
  [[nodiscard]] bool contains(const Value& element) const;
  // What `this[key]` is in Rego: array element, object value, set element; nullptr when undefined.
  [[nodiscard]] const Value* get(const Value& key) const;

  // OPA's total order over all values. Iterates at most kMaxDepth deep.
  [[nodiscard]] int compare(const Value& other) const;
  friend bool operator==(const Value& a, const Value& b) {
    if (a.tag_ == b.tag_) {
      if (a.bits_.integer == b.bits_.integer) return true;
      if (a.tag_ == Tag::kString) return a.equal_text(b);
      if (a.tag_ <= Tag::kInt) return a.tag_ <= Tag::kNull;
    }
    return a.equal_slow(b);
  }
  friend bool operator<(const Value& a, const Value& b) { return a.compare(b) < 0; }
  // Equal values have equal hashes (1 and 1.0 too).
  [[nodiscard]] std::uint64_t hash() const;
  // Same inline bits or same heap object: a fast "surely equal".
  [[nodiscard]] bool same(const Value& other) const {
    return tag_ == other.tag_ && bits_.integer == other.bits_.integer;
  }

  [[nodiscard]] const detail::NumberRep* big_number() const {
    return tag_ == Tag::kBigNumber ? static_cast<const detail::NumberRep*>(bits_.rep) : nullptr;
  }
  // Takes over the one reference; type() is kUndefined.
  [[nodiscard]] static Value opaque(detail::OpaqueRep* rep) { return {Tag::kOpaque, rep}; }
  [[nodiscard]] bool is_opaque() const { return tag_ == Tag::kOpaque; }
  [[nodiscard]] const detail::OpaqueRep* opaque_rep() const {
    return static_cast<const detail::OpaqueRep*>(bits_.rep);
  }
  [[nodiscard]] const detail::StringRep* string_rep() const {
    return static_cast<const detail::StringRep*>(bits_.rep);
  }

 private:
  enum class Tag : std::uint8_t {
    kUndefined,
    kNull,
    kBoolean,
    kInt,
    kBigNumber,
    kString,
    kArray,
    kObject,
    kSet,
    kOpaque
  };
  union Bits {
    std::int64_t integer;
    detail::Rep* rep;
  };

  template <std::integral T>
  Value(Tag tag, T integer) : tag_(tag) {
    bits_.integer = static_cast<std::int64_t>(integer);
  }
  Value(Tag tag, detail::Rep* rep) : tag_(tag) { bits_.rep = rep; }
  void retain() const {
    if (tag_ >= Tag::kBigNumber) ++bits_.rep->refs;
  }
  void release() {
    if (tag_ >= Tag::kBigNumber && --bits_.rep->refs == 0) destroy();
  }
  void destroy();
  [[nodiscard]] bool equal_slow(const Value& other) const;
  // Both are strings.
  [[nodiscard]] bool equal_text(const Value& other) const {
    const auto* a = string_rep();
    const auto* b = other.string_rep();
    return a->size == b->size && std::memcmp(a->data(), b->data(), a->size) == 0;
  }
  [[nodiscard]] const detail::CompositeRep* composite() const {
    return static_cast<const detail::CompositeRep*>(bits_.rep);
  }
  [[nodiscard]] static Value composite_from(Tag tag, std::span<Value> items);

  Tag tag_ = Tag::kUndefined;
  Bits bits_ = {0};
};

// One entry of an object.
struct Entry {
  Value key;
  Value value;
};

namespace detail {
// Arrays and sets are allocated with `size` Values behind the head, objects with as many entries.
inline Value* CompositeRep::items() const {
  return static_cast<Value*>(static_cast<void*>(const_cast<CompositeRep*>(this) + 1));
}
inline Entry* CompositeRep::entries() const {
  return static_cast<Entry*>(static_cast<void*>(const_cast<CompositeRep*>(this) + 1));
}
}  // namespace detail

inline std::span<const Value> Value::items() const {
  check(is_array() || is_set(), "Value::items on another type");
  return {composite()->items(), composite()->size};
}
inline std::span<const Entry> Value::entries() const {
  check(is_object(), "Value::entries on another type");
  return {composite()->entries(), composite()->size};
}
inline std::string_view Value::as_string() const {
  check(is_string(), "Value::as_string on another type");
  return string_rep()->view();
}

// Collects entries and makes the object once.
class ObjectBuilder {
 public:
  void reserve(std::size_t count) { entries_.reserve(count); }
  void add(Value key, Value value) { entries_.push_back({std::move(key), std::move(value)}); }
  void add(std::string_view key, Value value) { add(Value::string(key), std::move(value)); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  // Leaves the builder empty. Last value of a repeated key stays.
  [[nodiscard]] Value build();
  // As build(), but undefined when one key has two different values.
  [[nodiscard]] Value build_unique();

 private:
  std::vector<Entry> entries_;
};

// Objects and sets with one change; the rest is shared. O(size of this one level).
[[nodiscard]] Value with_entry(const Value& object, const Value& key, Value value);
[[nodiscard]] Value without_entry(const Value& object, const Value& key);

// Bytes that all live values of this thread occupy; limits on memory compare two readings.
[[nodiscard]] std::size_t allocated_bytes();

// A value in Rego notation, as print and sprintf("%v") show it: `{1, "a"}`, `set()`, `{"k": null}`.
[[nodiscard]] std::string to_rego(const Value& value);
// The same, but a string at top level stands bare.
[[nodiscard]] std::string to_display(const Value& value);

struct ValueHash {
  std::size_t operator()(const Value& v) const { return v.hash(); }
};

}  // namespace coffer::policy
