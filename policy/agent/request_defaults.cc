#include "policy/agent/request_defaults.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "policy/agent/request_input.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::policy {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

class Completer {
 public:
  explicit Completer(std::vector<std::string>* unknown) : unknown_(unknown) {}

  // As deep as messages nest, which is bounded by the API.
  Result<Value> complete(const Descriptor& type, const Value& given, const std::string& path = "",
                         int nesting = 0) {
    if (!given.is_object() || nesting > 16) return given;
    const google::protobuf::Message* prototype =
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type);
    if (prototype == nullptr) return given;
    COFFER_TRY(const Value defaults, encoder_.encode(*prototype));
    ObjectBuilder out;
    for (const Entry& entry : defaults.entries())
      if (given.find(entry.key) == nullptr) out.add(entry.key, entry.value);
    for (const Entry& entry : given.entries()) {
      const std::string here = path + (path.empty() ? "" : ".") + to_display(entry.key);
      if (unknown_ != nullptr && defaults.find(entry.key) == nullptr) {
        unknown_->push_back(here);
        continue;
      }
      COFFER_TRY(Value value, field(type, entry, here, nesting));
      out.add(entry.key, std::move(value));
    }
    return out.build();
  }

 private:
  Result<Value> field(const Descriptor& type, const Entry& entry, const std::string& path,
                      int nesting) {
    std::string name(entry.key.as_string());
    if (name == "type_") name = "type";
    const FieldDescriptor* field = type.FindFieldByName(name);
    if (field == nullptr || field->type() != FieldDescriptor::TYPE_MESSAGE || field->is_map())
      return entry.value;
    if (!entry.value.is_array())
      return complete(*field->message_type(), entry.value, path, nesting + 1);
    std::vector<Value> items;
    for (const Value& item : entry.value.items()) {
      COFFER_TRY(Value value, complete(*field->message_type(), item, path, nesting + 1));
      items.push_back(std::move(value));
    }
    return Value::array(std::move(items));
  }

  RequestEncoder encoder_;
  std::vector<std::string>* unknown_;
};

}  // namespace

Result<Value> complete_request(std::string_view kind, const Value& request,
                               std::vector<std::string>* unknown) {
  const Descriptor* type =
      grpc::CopyFileRequest::descriptor()->file()->FindMessageTypeByName(std::string(kind));
  if (type == nullptr) return request;
  return Completer(unknown).complete(*type, request);
}

}  // namespace coffer::policy
