"""What users ask for about tweets, comments and whom to follow."""

from __future__ import annotations

from envtune.playground.wording import gap, phrase

POST = phrase(
    [
        "[Tweet|Post] '{text}' with the tag '{tag}'.",
        "[Post|Write] a tweet: '{text}', [tag|tagged] '{tag}'.",
        "With the tag '{tag}', [tweet|post] '{text}'.",
        "[Can|Could] you [tweet|post|write] '{text}'[ for me|]? The tag [is|should be] '{tag}'.",
        "I [would like|need] a tweet [that says|with the text] '{text}' and [has the tag|is tagged] '{tag}'.",
        "[My followers|People] should read '{text}'. [Tweet|Post] it [with|under] the tag '{tag}'.",
        "It is time [for a tweet|to tweet]: the text is '{text}', the tag '{tag}'.",
        "'{text}': [that is my tweet|tweet that|post that], and [use|put] the tag '{tag}'[ on it|].",
        "The tag '{tag}' [goes|should go] with a tweet of mine. [Post it|Tweet it], it says '{text}'.",
    ],
    ["I want to tweet '{text}', and the tag should be '{tag}'."],
    ["A new tweet, please: the tag is '{tag}' and the text '{text}'."],
    gap(
        "text",
        "text",
        [
            "[Tweet|Post] something with the tag '{tag}'.",
            "Post a tweet for me, tagged '{tag}'.",
            "[Can|Could] you [tweet|post|write] something[ for me|]? The tag [is|should be] '{tag}'.",
            "I [would like|need] a tweet that [has the tag|is tagged] '{tag}'.",
            "[My followers|People] should read something. [Tweet|Post] it [with|under] the tag '{tag}'.",
            "It is time [for a tweet|to tweet]: the tag is '{tag}'.",
            "The tag '{tag}' [goes|should go] with a tweet of mine. [Post it|Tweet it].",
        ],
        ["I want to tweet something, and the tag should be '{tag}'."],
        ["A new tweet, please: the tag is '{tag}'."],
    ),
)
COMMENT = phrase(
    [
        "[Comment|Write a comment] on [that|the] tweet: '{text}'.",
        "Add the comment '{text}' to [it|that tweet].",
        "[Can|Could] you [comment|write|add] '{text}' [under|on] [that|this|the] tweet?",
        "I [have|would like] to [say|write|leave] '{text}' [under|below] [that|this] tweet[, as a comment|].",
        "My comment on [that|the|this] tweet [is|should be] '{text}'. [Write|Add|Post] it.",
        "[The|This] tweet should [get|have] a comment that says '{text}'.",
        "'{text}': [add|write|post] that as a comment on [it|the tweet].",
        "It is time to comment on [this|the|that] tweet. [The text is|Say|Write] '{text}'.",
    ],
    ["I want to comment '{text}' on that tweet."],
    ["That tweet needs a comment: '{text}'."],
    gap(
        "text",
        "comment",
        [
            "[Comment|Write a comment] on that tweet.",
            "Add a comment to [it|that tweet].",
            "[Can|Could] you [comment|write something|add a comment] [under|on] [that|this|the] tweet?",
            "I [have|would like] to [say|write|leave] something [under|below] [that|this] tweet[, as a comment|].",
            "I have a comment on [that|the|this] tweet. [Write|Add|Post] it.",
            "[The|This] tweet should [get|have] a comment[ of mine|].",
            "It is time to comment on [this|the|that] tweet.",
        ],
        ["I want to comment on that tweet."],
        ["That tweet needs a comment."],
    ),
)
MENTION = phrase(
    [
        "Mention {names} in [that|the] tweet.",
        "[That|The] tweet should mention {names}. Add [them|that].",
        "Those should be mentioned in the tweet: {names}.",
        "I want a tweet that mentions {names}. Add them to it.",
        "[Can|Could] you mention {names} in [that|this|the] tweet[, please|]?",
        "I would like [this|the] tweet to [mention|have a mention of] {names}.",
        "{names} should [be found|appear|stand] in [that|the|this] tweet[ as a mention|]. Mention them.",
        "[The|This] tweet [needs a mention of|has to mention] {names}.",
        "It is time to mention [others|someone] in [this|that] tweet: {names}.",
        "[This tweet|That tweet] is [for|of interest to] {names}, so mention them[ there|].",
    ],
    ["I want {names} to be mentioned in that tweet."],
    ["Add {names} to those that the tweet mentions."],
    gap(
        "names",
        "users to mention",
        [
            "Mention someone in [that|the] tweet.",
            "[Can|Could] you mention [someone|somebody|other users] in [that|this|the] tweet[, please|]?",
            "I would like [this|the] tweet to [mention|have a mention of] somebody.",
            "[Someone|Somebody] should [be found|appear|stand] in [that|the|this] tweet as a mention.",
            "[The|This] tweet [needs a mention|has to mention someone].",
            "It is time to mention [others|someone] in [this|that] tweet.",
        ],
        ["I want someone to be mentioned in that tweet."],
        ["Add someone to those that the tweet mentions."],
    ),
)
RETWEET = phrase(
    [
        "Retweet [it|that tweet].",
        "[That|The] tweet is worth a retweet.",
        "[Can|Could] you [retweet|share] [this|that|the] tweet[ for me|]?",
        "I would like [that|this|the] tweet to be retweeted.",
        "[That|This|The] tweet should be [retweeted|shared with a retweet][, please|].",
        "My followers [should see|will like|need to see] [that|this] tweet. Retweet it.",
        "It is time [to retweet|for a retweet of] [this|the|that] tweet.",
        "[This|That] tweet needs [my retweet|to be retweeted by me].",
    ],
    ["I want to retweet that one."],
    ["Make a retweet of that tweet."],
)
COMMENTS = phrase(
    [
        "Show me the comments on [it|that tweet].",
        "[What|Which] comments does [it|that tweet] have?",
        "[Can|Could] you [show|list|give] me [the|all the] comments [under|of] [this|that|the] tweet?",
        "I [need|would like] to [read|know] what [people|others] [wrote|commented] [under|on] [that|this] tweet.",
        "[Who|What people] commented on [this|that|the] tweet, and what did they [say|write]?",
        "The comments [under|of] [this|that] tweet, please.",
        "It is time to [read|check|look at] the comments [of|under] [the|this] tweet.",
        "[Did anyone|Did somebody] comment on [that|this|the] tweet? [Show|List] the comments.",
    ],
    ["I want to see all comments on that tweet."],
    ["Which comments are there on that tweet?"],
)
OF_USER = phrase(
    [
        "Show me [all |]the tweets of {user}.",
        "What did {user} tweet?",
        "List the tweets that {user} wrote.",
        "[Can|Could] you [show|list|find] [what|everything that] {user} [tweeted|posted|wrote]?",
        "I [need|would like] [a list of|to read] [the|all] tweets [by|of] {user}.",
        "{user} [writes|posts] [good|interesting] tweets. [Show|List|Get] them[ all|].",
        "[All tweets|The tweets] [by|from] {user}, please.",
        "It is time to [read|look at|go through] the tweets [by|of|from] {user}.",
        "What has {user} [posted|written|said] [so far|on here]?",
    ],
    ["I want to see all that {user} tweeted."],
    ["Which tweets did {user} write?"],
    gap(
        "user",
        "user",
        [
            "Show me [all |]the tweets of a user.",
            "What did one of the users tweet?",
            "[Can|Could] you [show|list|find] [what|everything that] [a|some|one] user [tweeted|posted|wrote]?",
            "I [need|would like] [a list of|to read] [the|all] tweets [by|of] [a|one] user.",
            "Some user [writes|posts] [good|interesting] tweets. [Show|List|Get] them[ all|].",
            "[All tweets|The tweets] [by|from] a user, please.",
            "It is time to [read|look at|go through] the tweets [by|of|from] a user.",
        ],
        ["I want to see all that someone tweeted."],
        ["Which tweets did a certain user write?"],
    ),
)
COMMENT_FOUND = phrase(
    [
        "[Comment|Write a comment] on the one about the {word}: '{text}'.",
        "Add the comment '{text}' to the one about the {word}.",
        "[Can|Could] you [comment|write|add] '{text}' [under|on] the tweet [about|on] the {word}?",
        "I [have|would like] to [say|write|leave] '{text}' under the one [about|that is about] the {word}.",
        "One of them is about the {word}. [My comment on it is|Comment on it with|It should get the comment] '{text}'.",
        "The tweet [about the {word}|that speaks of the {word}] should [get|have] the comment '{text}'.",
        "'{text}': [write|add|post] that [under|as a comment on] the one about the {word}.",
        "It is time to comment on the tweet about the {word}. [Say|Write|The text is] '{text}'.",
    ],
    ["I want to comment '{text}' on the one about the {word}."],
    ["The one about the {word} needs a comment: '{text}'."],
    gap(
        "text",
        "comment",
        [
            "[Comment|Write a comment] on the one about the {word}.",
            "[Can|Could] you [comment|write something|add a comment] [under|on] the tweet [about|on] the {word}?",
            "I [have|would like] to [say|write|leave] something under the one [about|that is about] the {word}.",
            "One of them is about the {word}. [I have a comment on it|Comment on it|It should get a comment].",
            "The tweet [about the {word}|that speaks of the {word}] should [get|have] a comment[ of mine|].",
            "It is time to comment on the [tweet|one] about the {word}.",
        ],
        ["I want to comment on the one about the {word}."],
        ["The one about the {word} needs a comment."],
    ),
)
RETWEET_FOUND = phrase(
    [
        "Retweet the one about the {word}.",
        "The one about the {word} is good. Retweet it.",
        "[Can|Could] you [retweet|share] the [tweet|one] [about|that is about] the {word}?",
        "I would like the [tweet|one] about the {word} to be retweeted.",
        "One of them [is about|speaks of] the {word}. [Retweet that one|It should be retweeted|It needs a retweet].",
        "The [tweet|one] that [is about|speaks of] the {word} should be retweeted[, please|].",
        "My followers [should see|will like|need to see] the one about the {word}. Retweet it.",
        "It is time [to retweet|for a retweet of] the [tweet|one] about the {word}.",
    ],
    ["I want to retweet the one about the {word}."],
    ["Make a retweet of the one about the {word}."],
)
FOLLOW = phrase(
    [
        "[Follow|Start to follow] {user}[ for me|].",
        "{user} writes good tweets. Follow that user.",
        "[Can|Could] you [follow|start following] {user}[ for me|]?",
        "I would [like|love] to [read|see] [more|everything] from {user}, so follow [them|that user].",
        "{user} should be [followed|among those that I follow|one of those I follow].",
        "[The|My] list of those I follow needs {user}[ too|]. [Add|Follow] that user.",
        "It is time [to follow|for me to follow] {user}.",
        "[Someone new to follow|A new user to follow]: {user}[, please|].",
    ],
    ["I want to follow {user}."],
    ["Make me follow the user {user}."],
    gap(
        "user",
        "user",
        [
            "[Follow|Start to follow] someone[ for me|].",
            "[Can|Could] you [follow|start following] [somebody|a user][ for me|]?",
            "I would [like|love] to [read|see] [more|everything] from somebody, so follow [them|that user].",
            "[Somebody|One more user] should be [followed|among those that I follow|one of those I follow].",
            "[The|My] list of those I follow needs one more user. [Add|Follow] that user.",
            "It is time [to follow|for me to follow] [somebody|someone new].",
        ],
        ["I want to follow someone."],
        ["Make me follow a user."],
    ),
)
UNFOLLOW = phrase(
    [
        "[Unfollow|Stop to follow] {user}.",
        "I do not want to follow {user} any more.",
        "[Can|Could] you [unfollow|stop following] {user}[ for me|]?",
        "I would like to [unfollow|be rid of] {user}[, please|].",
        "{user} [is boring|posts too much|is not for me]. [Unfollow|Stop following] that user.",
        "[The|My] list of those I follow [should be without|does not need] {user}[. Unfollow that user|].",
        "It is time to [unfollow|stop following] {user}.",
        "{user} should [be unfollowed|not be followed any more|no longer be followed].",
    ],
    ["I no longer want to follow {user}."],
    ["Make me unfollow the user {user}."],
    gap(
        "user",
        "user",
        [
            "Unfollow someone[ for me|].",
            "[Can|Could] you [unfollow|stop following] [somebody|a user][ for me|]?",
            "I would like to [unfollow|be rid of] [somebody|a user|someone][, please|].",
            "Someone [is boring|posts too much|is not for me]. [Unfollow|Stop following] that user.",
            "It is time to [unfollow|stop following] [somebody|a user|someone].",
            "[Somebody|One user] should [be unfollowed|not be followed any more|no longer be followed].",
        ],
        ["I no longer want to follow someone."],
        ["Make me unfollow a user."],
    ),
)
FOLLOWING = phrase(
    [
        "[Whom|Which users] do I follow[ now|]?",
        "List [all |]the users [that |]I follow.",
        "[Can|Could] you [show|list|tell] me [whom I follow|the users I follow|everyone that I follow]?",
        "I [need|would like] [a list of|the names of] [those|everyone] I follow.",
        "Who [are the users|is it] that I follow[ at the moment|]?",
        "The list of [those|users|people] that I follow, please.",
        "It is time to [check|go through] [whom|the people] I follow. [List|Show] them.",
        "I [forgot|have to know] [whom I follow|which users I am following]. [Show|List] them.",
    ],
    ["I want to see all users that I follow."],
    ["Tell me which users I follow."],
)
STATS = phrase(
    [
        "Show me the statistics of {user}.",
        "How many tweets [does {user} have|are there of {user}]?",
        "[Can|Could] you [show|get|check] the [statistics|user statistics] of {user}?",
        "I [need|would like] [the statistics|some numbers] [on|for] {user}.",
        "How [active is {user}|much does {user} tweet|often does {user} tweet]? [Show|Get] the statistics.",
        "{user}: [how many tweets are there?|what are the statistics?|the statistics, please.]",
        "It is time to [check|look at] the statistics [for|of] {user}.",
        "I have to know [how much|how many tweets] {user} [posted|wrote]. [Check|Look up] the statistics.",
    ],
    ["I want to see the statistics of the user {user}."],
    ["What do the statistics of {user} say?"],
)
POST_IT = phrase(
    [
        "[Tweet|Post] that text.",
        "[Post|Write] a tweet with [that text|what it says].",
        "That text should be tweeted.",
        "[Can|Could] you [tweet|post] [that|this|the] text[ for me|]?",
        "I would like [that|this|the] text [to be my next tweet|as a tweet|to be tweeted].",
        "[My followers|People|Others] should read [that|this]. [Tweet|Post] the text.",
        "[What it says|The text of the file|What the file says] should [be tweeted|become a tweet].",
        "It is time to [tweet|post] [the text|what the file says|this text].",
        "I need a tweet [that says the same|that has this text|with the text of that file].",
    ],
    ["I want to tweet what it says."],
    ["A new tweet, please, with that text."],
)
