"""What is wrong with a field of a request body, as a sentence in both languages.

pydantic's own messages are English; for each type of its errors that a body can cause there is a Chinese one here.
"""

from collections.abc import Mapping
from typing import Any, Final

from claimd.domain.sentences import Sentence, Template, WrongValue

NO_STRING_TIME: Final = Template("must be a string with an RFC 3339 time", "必须是字符串，内容为 RFC 3339 格式的时间")
NESTED_TOO_DEEPLY: Final = Template("is nested too deeply", "嵌套层数过多")
TOO_MANY_BYTES: Final = Template("must have at most {most} bytes as JSON", "转为 JSON 后最多 {most} 字节")
TOO_MANY_CHARACTERS: Final = Template("must have at most {most} characters", "最多 {most} 个字符")
NUMBER_TOO_LARGE: Final = Template("must be a number of at most 64 bits", "必须是不超过 64 位的数字")
NO_PLAIN_VALUE: Final = Template("must be a string, a number or a boolean", "必须是字符串、数字或布尔值")
NO_ID: Final = Template("must match [a-z0-9][a-z0-9-]{{0,63}}", "必须符合 [a-z0-9][a-z0-9-]{{0,63}}")
NO_SUBJECT: Final = Template(
    "must be text of at most {most} bytes in UTF-8", "必须是 UTF-8 编码后不超过 {most} 字节的文本"
)
NOTHING_TO_CHANGE: Final = Template("reason: there is nothing to change beside it", "reason：除此之外没有要修改的内容")
TOTAL_TWICE: Final = Template(
    "total_change: cannot be given together with total", "total_change：不能与 total 同时提供"
)

OF_FIELD: Final = Template("{field}: {fault}", "{field}：{fault}")

# By the types of https://docs.pydantic.dev/latest/errors/validation_errors/; names in braces are those of `ctx`.
CHINESE_OF_TYPE: Final[Mapping[str, str]] = {
    "missing": "必须填写",
    "extra_forbidden": "没有这个字段",
    "string_type": "必须是字符串",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "最多 {max_length} 个字符",
    "string_unicode": "不是有效的文本",
    "int_type": "必须是整数",
    "bool_type": "必须是 true 或 false",
    "greater_than_equal": "不能小于 {ge}",
    "less_than_equal": "不能大于 {le}",
    "dict_type": "必须是对象",
    "list_type": "必须是数组",
    "too_short": "至少 {min_length} 项",
    "too_long": "最多 {max_length} 项",
}
_OTHER: Final = "取值有误：{library}"


def fault(error: Mapping[str, Any]) -> Sentence:
    """The sentence for one of `ValidationError.errors()`, without the name of the field."""
    values = error.get("ctx", {})
    if isinstance(own := values.get("error"), WrongValue):
        return own.sentence
    template = Template("{library}", CHINESE_OF_TYPE.get(error["type"], _OTHER))
    return template(library=error["msg"].removeprefix("Value error, "), **values)
