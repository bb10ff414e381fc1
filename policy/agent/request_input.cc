#include "policy/agent/request_input.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <sys/stat.h>

#include <unordered_map>

#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// The generated messages nest at most 6 deep and none is recursive; a bound all the same.
constexpr int kMaxNesting = 16;

Value bytes_value(const std::string& bytes) {
  std::vector<Value> items;
  items.reserve(bytes.size());
  for (const char byte : bytes) {
    items.push_back(Value::integer(static_cast<std::uint8_t>(byte)));
  }
  return Value::array(std::move(items));
}

Value unsigned_value(std::uint64_t number) {
  if (number <= static_cast<std::uint64_t>(INT64_MAX)) {
    return Value::integer(static_cast<std::int64_t>(number));
  }
  return Value::number_from_literal(std::to_string(number));
}

// "errnoret" is "Errnoret": Rust names the cases of a oneof in camel case.
std::string oneof_case_name(const std::string& field_name) {
  std::string name;
  bool upper = true;
  for (const char c : field_name) {
    if (c == '_') {
      upper = true;
      continue;
    }
    name += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return name;
}

std::string_view file_type(std::uint32_t mode) {
  switch (mode & static_cast<std::uint32_t>(S_IFMT)) {
    case S_IFREG:
      return "Regular";
    case S_IFDIR:
      return "Directory";
    case S_IFLNK:
      return "Symlink";
    default:
      return "Unknown";
  }
}

}  // namespace

class RequestEncoder::Impl {
 public:
  Result<Value> whole(const Message& message) {
    nul_in_ = nullptr;
    Value value = this->message(message, 0);
    if (nul_in_ == nullptr) return value;
    return fail(Code::kInvalidArgument,
                fmt::format("read {}: '{}' holds a NUL byte", message.GetDescriptor()->name(),
                            nul_in_->full_name()));
  }

  Value message(const Message& message, int nesting) {
    if (nesting > kMaxNesting) return Value::null();
    const Plan& plan = plan_of(*message.GetDescriptor());
    ObjectBuilder object;
    object.reserve(plan.size());
    for (const Slot& slot : plan) {
      object.add(slot.key, slot.oneof != nullptr ? oneof_value(message, slot, nesting)
                                                 : field_value(message, *slot.field, nesting));
    }
    return object.build();
  }

  Result<Value> copy_file(const Message& request);

 private:
  // One key of the encoded object: a field, or a real oneof (`oneof` set, `field` unused).
  struct Slot {
    Value key;
    const FieldDescriptor* field = nullptr;
    const google::protobuf::OneofDescriptor* oneof = nullptr;
  };
  using Plan = std::vector<Slot>;

  const Plan& plan_of(const Descriptor& descriptor) {
    auto [it, fresh] = plans_.try_emplace(&descriptor);
    if (fresh) {
      for (int i = 0; i < descriptor.field_count(); ++i) {
        const FieldDescriptor* field = descriptor.field(i);
        if (field->real_containing_oneof() != nullptr) continue;
        const std::string& name = field->name();
        it->second.push_back({Value::string(name == "type" ? "type_" : name), field, nullptr});
      }
      for (int i = 0; i < descriptor.real_oneof_decl_count(); ++i) {
        const auto* oneof = descriptor.oneof_decl(i);
        it->second.push_back({Value::string(oneof->name()), nullptr, oneof});
      }
    }
    return it->second;
  }

  Value oneof_value(const Message& message, const Slot& slot, int nesting) {
    const Reflection& reflection = *message.GetReflection();
    const FieldDescriptor* set = reflection.GetOneofFieldDescriptor(message, slot.oneof);
    if (set == nullptr) return Value::null();
    ObjectBuilder object;
    object.add(oneof_case_name(set->name()), single_value(message, *set, nesting));
    return object.build();
  }

  Value field_value(const Message& message, const FieldDescriptor& field, int nesting) {
    const Reflection& reflection = *message.GetReflection();
    if (field.is_map()) return map_value(message, field, nesting);
    if (field.is_repeated()) {
      const int count = reflection.FieldSize(message, &field);
      std::vector<Value> items;
      items.reserve(static_cast<std::size_t>(count));
      for (int i = 0; i < count; ++i) items.push_back(item_value(message, field, i, nesting));
      return Value::array(std::move(items));
    }
    if (field.has_presence() && !reflection.HasField(message, &field)) return Value::null();
    return single_value(message, field, nesting);
  }

  Value map_value(const Message& message, const FieldDescriptor& field, int nesting) {
    const Reflection& reflection = *message.GetReflection();
    const FieldDescriptor& key_field = *field.message_type()->map_key();
    const FieldDescriptor& value_field = *field.message_type()->map_value();
    ObjectBuilder object;
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
      object.add(single_value(entry, key_field, nesting),
                 single_value(entry, value_field, nesting));
    }
    return object.build();
  }

  Value single_value(const Message& message, const FieldDescriptor& field, int nesting) {
    const Reflection& reflection = *message.GetReflection();
    std::string scratch;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return Value::integer(reflection.GetInt32(message, &field));
      case FieldDescriptor::CPPTYPE_INT64:
        return Value::integer(reflection.GetInt64(message, &field));
      case FieldDescriptor::CPPTYPE_UINT32:
        return Value::integer(reflection.GetUInt32(message, &field));
      case FieldDescriptor::CPPTYPE_UINT64:
        return unsigned_value(reflection.GetUInt64(message, &field));
      case FieldDescriptor::CPPTYPE_BOOL:
        return Value::boolean(reflection.GetBool(message, &field));
      case FieldDescriptor::CPPTYPE_ENUM:
        return Value::integer(reflection.GetEnumValue(message, &field));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return this->message(reflection.GetMessage(message, &field), nesting + 1);
      case FieldDescriptor::CPPTYPE_STRING:
        return text_value(field, reflection.GetStringReference(message, &field, &scratch));
      default:  // float and double: the agent's API has none, and a test keeps it so.
        return Value::null();
    }
  }

  Value item_value(const Message& message, const FieldDescriptor& field, int index, int nesting) {
    const Reflection& reflection = *message.GetReflection();
    std::string scratch;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_UINT32:
        return Value::integer(reflection.GetRepeatedUInt32(message, &field, index));
      case FieldDescriptor::CPPTYPE_UINT64:
        return unsigned_value(reflection.GetRepeatedUInt64(message, &field, index));
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return this->message(reflection.GetRepeatedMessage(message, &field, index), nesting + 1);
      case FieldDescriptor::CPPTYPE_STRING:
        return text_value(field,
                          reflection.GetRepeatedStringReference(message, &field, index, &scratch));
      default:  // no other repeated scalar in the agent's API; the same test keeps it so.
        return Value::null();
    }
  }

  Value text_value(const FieldDescriptor& field, const std::string& text) {
    if (field.type() == FieldDescriptor::TYPE_BYTES) return bytes_value(text);
    if (text.find('\0') != std::string::npos) nul_in_ = &field;
    return Value::string(text);
  }

  const FieldDescriptor* nul_in_ = nullptr;  // a text of the message that is being encoded
  std::unordered_map<const Descriptor*, Plan> plans_;
};

Result<Value> RequestEncoder::Impl::copy_file(const Message& request) {
  const Descriptor& descriptor = *request.GetDescriptor();
  const Reflection& reflection = *request.GetReflection();
  const auto field = [&](const char* name) {
    const FieldDescriptor* found = descriptor.FindFieldByName(name);
    check(found != nullptr, "CopyFileRequest has no such field");
    return found;
  };
  const std::uint32_t mode = reflection.GetUInt32(request, field("file_mode"));
  const std::string_view type = file_type(mode);
  Value target = Value::null();
  if (type == "Symlink") {
    std::string scratch;
    const std::string& text = reflection.GetStringReference(request, field("data"), &scratch);
    if (!is_utf8(text)) {
      return fail(Code::kInvalidArgument, "CopyFileRequest: the symlink target is not UTF-8");
    }
    target = Value::string(text);
  }
  nul_in_ = nullptr;
  ObjectBuilder object;
  for (const char* name : {"path", "file_size", "file_mode", "dir_mode", "uid", "gid", "offset"}) {
    object.add(name, single_value(request, *field(name), 0));
  }
  object.add("file_type", Value::string(type));
  object.add("symlink_target", std::move(target));
  if (nul_in_ != nullptr)
    return fail(Code::kInvalidArgument, "read CopyFileRequest: 'path' holds a NUL byte");
  return object.build();
}

RequestEncoder::RequestEncoder() : impl_(std::make_unique<Impl>()) {}
RequestEncoder::~RequestEncoder() = default;

Result<Value> RequestEncoder::encode(const Message& request) {
  if (request.GetDescriptor()->name() == "CopyFileRequest") return impl_->copy_file(request);
  return impl_->whole(request);
}

}  // namespace coffer::policy
